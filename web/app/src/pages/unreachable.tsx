import { type ReactElement, useEffect } from "react";
import { Button } from "../components/button";
import { Header, ThemeSwitch } from "../components/header";

const every = 4000;

/** Shown when the page came up and the server did not answer; it asks again by itself. */
export function UnreachablePage({ onAgain }: { readonly onAgain: () => void }): ReactElement {
  useEffect(() => {
    const timer = setInterval(onAgain, every);
    window.addEventListener("online", onAgain);
    return () => {
      clearInterval(timer);
      window.removeEventListener("online", onAgain);
    };
  }, [onAgain]);
  return (
    <>
      <Header>
        <ThemeSwitch />
      </Header>
      <main className="mx-auto max-w-md px-6 pt-[14vh]">
        <h1 className="text-2xl font-semibold tracking-tight">Herald does not answer</h1>
        <p className="mt-3 mb-5 text-soft">
          It may be starting, or stopped. This page tries again every few seconds and comes back by itself.
        </p>
        <Button onClick={onAgain}>Try now</Button>
      </main>
    </>
  );
}
