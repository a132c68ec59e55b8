import type { ReactElement } from "react";
import { Header, ThemeSwitch } from "../components/header";
import type { SessionState } from "../session";

type Why = Extract<SessionState, { status: "signed-out" }>["why"];

const headings: Record<Why, string> = {
  "no session": "Sign in to see your jobs",
  "bad link": "This link no longer works",
  expired: "Your session has ended",
  "by choice": "You are signed out",
};

/** Where people sign in with a provider, as the server has written into the page; undefined when it has none. */
function providerAddress(): string | undefined {
  const address = document.querySelector<HTMLMetaElement>('meta[name="herald-sign-in"]')?.content;
  if (address === undefined) return undefined;
  return `${address}?to=${encodeURIComponent(location.pathname + location.search)}`;
}

/** Says how to come in. */
export function SignedOutPage({ why }: { readonly why: Why }): ReactElement {
  const provider = providerAddress();
  return (
    <>
      <Header>
        <ThemeSwitch />
      </Header>
      <main className="mx-auto max-w-md px-6 pt-[14vh]">
        <h1 className="text-2xl font-semibold tracking-tight">{headings[why]}</h1>
        {provider !== undefined && (
          <p className="mt-4">
            <a href={provider} className="font-medium underline underline-offset-4">
              Sign in
            </a>
          </p>
        )}
        <p className="mt-3 text-soft">
          Herald lets you in by a link that carries a key. Open the one that <Code>herald up</Code> printed when it
          started, or ask for a fresh one where it runs:
        </p>
        <pre
          tabIndex={0}
          role="region"
          aria-label="Command"
          className="mt-4 overflow-x-auto rounded-xl bg-card px-4 py-3 font-mono text-sm ring-1 ring-line"
        >
          herald token --user you --link
        </pre>
        <p className="mt-4 text-sm text-soft">Your jobs go on meanwhile.</p>
      </main>
    </>
  );
}

function Code({ children }: { readonly children: string }): ReactElement {
  return <code className="rounded bg-well px-1 py-0.5 font-mono text-[0.875em]">{children}</code>;
}
