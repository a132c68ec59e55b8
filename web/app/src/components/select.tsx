import type { ReactElement, SelectHTMLAttributes } from "react";
import { DownIcon } from "./icons";

/** One of many, in the browser's own list. */
export function Select({ className = "", ...rest }: SelectHTMLAttributes<HTMLSelectElement>): ReactElement {
  return (
    <span className="relative inline-block min-w-0 has-[.w-full]:w-full">
      <select {...rest} className={`appearance-none pe-8 ${className}`} />
      <span className="pointer-events-none absolute end-2.5 top-1/2 -translate-y-1/2 text-soft">
        <DownIcon size={12} />
      </span>
    </span>
  );
}
