import type { ReactElement } from "react";

/** What went wrong, in full and as the program said it. */
export function ErrorBlock({ title, text }: { readonly title: string; readonly text: string }): ReactElement {
  return (
    <div className="rounded-lg bg-bad-tint p-3">
      <p className="text-sm font-medium text-bad">{title}</p>
      <pre
        tabIndex={0}
        role="group"
        aria-label={title}
        dir="auto"
        className="mt-1.5 max-h-64 overflow-auto font-mono text-[0.8125rem] leading-relaxed break-words whitespace-pre-wrap text-ink"
      >
        {text}
      </pre>
    </div>
  );
}
