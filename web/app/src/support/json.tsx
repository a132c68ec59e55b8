import type { ReactElement, ReactNode } from "react";

interface JsonProps {
  readonly value: unknown;
  readonly label: string;
}

/** Payloads are this long at most where they are shown; they can be copied whole. */
const longest = 100_000;

/** A value as formatted JSON, with its names told from what they hold. */
export function Json({ value, label }: JsonProps): ReactElement {
  const text = JSON.stringify(value, null, 2);
  return (
    <pre
      tabIndex={0}
      role="region"
      aria-label={label}
      className="max-h-96 overflow-auto rounded-lg bg-card p-3 font-mono text-[0.8125rem] leading-relaxed break-words whitespace-pre-wrap text-ink ring-1 ring-line ring-inset"
    >
      {coloured(text.slice(0, longest))}
      {text.length > longest && "\n… the rest can be copied"}
    </pre>
  );
}

/** Strings that are names, other strings, and words. */
const tokens = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b/g;

function coloured(text: string): ReactNode[] {
  const parts: ReactNode[] = [];
  let from = 0;
  for (const found of text.matchAll(tokens)) {
    if (found.index > from) parts.push(text.slice(from, found.index));
    const [whole, quoted, colon] = found;
    const look = colon !== undefined ? "text-soft" : quoted !== undefined ? "text-accent" : "text-warn";
    parts.push(
      <span key={found.index} className={look}>
        {whole}
      </span>,
    );
    from = found.index + whole.length;
  }
  parts.push(text.slice(from));
  return parts;
}
