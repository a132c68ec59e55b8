import type { ReactElement, ReactNode } from "react";
import { Button } from "../components/button";

interface EmptyProps {
  readonly title: string;
  readonly text: ReactNode;
  /** It stands in a box already. */
  readonly bare?: boolean;
}

/** There is nothing to show, and why. */
export function Empty({ title, text, bare = false }: EmptyProps): ReactElement {
  return (
    <div className={`px-6 py-14 text-center ${bare ? "" : "rounded-2xl bg-card ring-1 ring-line"}`}>
      <h2 className="font-medium">{title}</h2>
      <p className="mx-auto mt-1 max-w-md text-sm text-soft">{text}</p>
    </div>
  );
}

interface FailedProps {
  readonly title: string;
  readonly error: string;
  readonly onAgain: () => void;
}

/** Something could not be read; it can be tried again. */
export function Failed({ title, error, onAgain }: FailedProps): ReactElement {
  return (
    <div role="alert" className="flex flex-wrap items-center gap-x-4 gap-y-2 rounded-2xl bg-bad-tint px-4 py-3 text-sm">
      <p className="me-auto min-w-0 break-words">
        <span className="font-medium text-bad">{title}.</span> {error}
      </p>
      <Button onClick={onAgain}>Try again</Button>
    </div>
  );
}

/** Stands in for rows that are on their way. */
export function Waiting({ what }: { readonly what: string }): ReactElement {
  return (
    <div aria-busy="true" className="animate-pulse rounded-2xl bg-card ring-1 ring-line">
      <p className="sr-only">{what}</p>
      {["w-1/2", "w-2/5", "w-3/5", "w-1/3", "w-1/2", "w-2/5"].map((width, i) => (
        <div key={i} className="flex h-11 items-center gap-3 border-b border-line px-4 last:border-b-0">
          <div className="size-2 rounded-full bg-well" />
          <div className={`h-3 rounded bg-well ${width}`} />
          <div className="ms-auto h-3 w-16 rounded bg-well" />
        </div>
      ))}
    </div>
  );
}
