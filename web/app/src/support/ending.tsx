import { type ReactElement, type ReactNode, useState } from "react";
import { Button } from "../components/button";
import { messageOf } from "../live";
import { ask } from "./api";

interface EndingProps {
  /** What is ended, as it stands in the question. */
  readonly what: string;
  readonly path: string;
  readonly allowed: boolean;
  readonly onDone: () => void;
  readonly children: ReactNode;
}

/** A button that ends streams once the reader has said that they mean it. */
export function Ending({ what, path, allowed, onDone, children }: EndingProps): ReactElement {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const end = () => {
    setBusy(true);
    setError("");
    ask(path, undefined, { method: "DELETE" })
      .then(
        () => {
          setAsking(false);
          onDone();
        },
        (err: unknown) => {
          setError(messageOf(err));
        },
      )
      .finally(() => {
        setBusy(false);
      });
  };
  if (!asking) {
    return (
      <Button
        onClick={() => {
          setAsking(true);
        }}
        why={allowed ? undefined : "Support may look and not change. An admin can end streams."}
        aria-label={`Disconnect ${what}`}
      >
        {children}
      </Button>
    );
  }
  return (
    <div
      role="group"
      aria-label={`Disconnect ${what}?`}
      className="flex flex-wrap items-center justify-end gap-2"
      onKeyDown={(event) => {
        if (event.key === "Escape") setAsking(false);
      }}
    >
      <span className="text-sm text-soft">End {what}? Browsers come back by themselves.</span>
      <Button look="danger" onClick={end} why={busy ? "Asking for it." : undefined}>
        Disconnect
      </Button>
      <Button
        autoFocus
        onClick={() => {
          setAsking(false);
        }}
      >
        Keep
      </Button>
      {error !== "" && (
        <p role="alert" className="basis-full text-sm text-bad">
          {error}
        </p>
      )}
    </div>
  );
}
