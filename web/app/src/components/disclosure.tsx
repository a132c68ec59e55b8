import type { ReactElement, ReactNode } from "react";
import { DownIcon } from "./icons";

interface DisclosureProps {
  readonly label: ReactNode;
  /** It is open whatever the reader did. */
  readonly open?: boolean | undefined;
  readonly className?: string;
  readonly children: ReactNode;
}

/** What few people need, behind a word that opens it. */
export function Disclosure({ label, open, className = "", children }: DisclosureProps): ReactElement {
  return (
    <details open={open} className={className}>
      <summary className="inline-flex cursor-pointer list-none items-center gap-1 rounded text-sm text-soft hover:text-ink [&::-webkit-details-marker]:hidden">
        <span className="transition-transform [details[open]>summary_&]:rotate-180">
          <DownIcon size={14} />
        </span>
        {label}
      </summary>
      {children}
    </details>
  );
}
