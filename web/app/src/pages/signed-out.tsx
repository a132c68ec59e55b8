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

/** Says how to come in. */
export function SignedOutPage({ why }: { readonly why: Why }): ReactElement {
  return (
    <>
      <Header>
        <ThemeSwitch />
      </Header>
      <main className="mx-auto max-w-md px-6 pt-[14vh]">
        <h1 className="text-2xl font-semibold tracking-tight">{headings[why]}</h1>
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
