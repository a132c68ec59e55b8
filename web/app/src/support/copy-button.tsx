import { type ReactElement, type ReactNode, useEffect, useState } from "react";
import { Button } from "../components/button";
import { CheckIcon } from "../components/icons";

interface CopyButtonProps {
  readonly text: () => string;
  readonly children: ReactNode;
}

/** Copies a text, and says whether it could. */
export function CopyButton({ text, children }: CopyButtonProps): ReactElement {
  const [done, setDone] = useState<"" | "copied" | "failed">("");
  useEffect(() => {
    if (done === "") return undefined;
    const timer = setTimeout(() => {
      setDone("");
    }, 2000);
    return () => {
      clearTimeout(timer);
    };
  }, [done]);
  const copy = () => {
    copyText(text()).then(
      () => {
        setDone("copied");
      },
      () => {
        setDone("failed");
      },
    );
  };
  const said = done === "copied" ? "Copied" : done === "failed" ? "Could not copy" : "";
  return (
    <>
      <Button onClick={copy}>
        {done === "copied" && <CheckIcon size={14} />}
        {said === "" ? children : said}
      </Button>
      <span role="status" className="sr-only">
        {said}
      </span>
    </>
  );
}

/** Outside HTTPS and loopback, a page has no clipboard but the one of old. */
async function copyText(text: string): Promise<void> {
  if (window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = document.body.appendChild(document.createElement("textarea"));
  field.value = text;
  field.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- there is no other way where the page is not secure
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("not copied");
}
