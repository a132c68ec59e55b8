import { type ReactElement, useEffect, useState } from "react";
import { CheckIcon, CopyIcon } from "./icons";

/** How long it is shown that something was copied, in milliseconds. */
const shownFor = 2000;

/** Copies a text, and says so. */
export function CopyButton({ text, label }: { readonly text: string; readonly label: string }): ReactElement {
  const [done, setDone] = useState<"" | "copied" | "failed">("");
  useEffect(() => {
    if (done === "") return undefined;
    const timer = setTimeout(() => {
      setDone("");
    }, shownFor);
    return () => {
      clearTimeout(timer);
    };
  }, [done]);
  const copy = () => {
    copyText(text).then(
      () => {
        setDone("copied");
      },
      () => {
        setDone("failed");
      },
    );
  };
  return (
    <>
      <button
        type="button"
        aria-label={label}
        title={label}
        onClick={copy}
        className="inline-grid size-7 shrink-0 place-items-center rounded-lg text-soft hover:bg-well hover:text-ink"
      >
        {done === "copied" ? <CheckIcon size={14} /> : <CopyIcon size={14} />}
      </button>
      <span role="status" className={done === "failed" ? "text-sm text-bad" : "sr-only"}>
        {done === "copied" && "Copied"}
        {done === "failed" && "This browser does not let it be copied"}
      </span>
    </>
  );
}

/** Puts the text on the clipboard; it rejects where the browser does not allow it. */
export async function copyText(text: string): Promise<void> {
  // The DOM's types promise a clipboard; a page without TLS has none.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard === undefined) throw new Error("no clipboard");
  await clipboard.writeText(text);
}
