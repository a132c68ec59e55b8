import { type ReactElement, type ReactNode, useId } from "react";

interface PanelProps {
  readonly title: string;
  /** What stands beside the title. */
  readonly aside?: ReactNode;
  readonly children: ReactNode;
}

/** A part of the page, with its title. */
export function Panel({ title, aside, children }: PanelProps): ReactElement {
  const heading = useId();
  return (
    <section aria-labelledby={heading} className="min-w-0 rounded-2xl bg-card p-4 ring-1 ring-line sm:p-5">
      <header className="mb-3 flex flex-wrap items-baseline justify-between gap-x-3">
        <h2 id={heading} className="text-sm font-medium text-soft">
          {title}
        </h2>
        {aside !== undefined && <div className="text-sm text-faint tabular-nums">{aside}</div>}
      </header>
      {children}
    </section>
  );
}
