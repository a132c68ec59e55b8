import type { ReactElement } from "react";
import { CopyButton } from "./copy-button";

/** How much is shown; all of it can be copied. */
const longest = 20_000;

/** A value as readable JSON. */
export function Json({ value, label }: { readonly value: unknown; readonly label: string }): ReactElement {
  const text = JSON.stringify(value, null, 2);
  const cut = text.length > longest;
  return (
    <div className="relative">
      <pre
        tabIndex={0}
        role="region"
        aria-label={label}
        className="max-h-96 overflow-auto rounded-lg bg-well p-3 pe-11 font-mono text-[0.8125rem] leading-relaxed break-words whitespace-pre-wrap"
      >
        {paint(cut ? text.slice(0, longest) : text)}
        {cut && "…"}
      </pre>
      <div className="absolute top-1.5 end-1.5">
        <CopyButton text={text} label={`Copy ${label.toLowerCase()}`} />
      </div>
    </div>
  );
}

/** Names stand back, so that the values stand out. */
function paint(text: string): (string | ReactElement)[] {
  return text.split(/(^ *"(?:[^"\\]|\\.)*":)/m).map((piece, i) =>
    i % 2 === 0 ? (
      piece
    ) : (
      <span key={i} className="text-soft">
        {piece}
      </span>
    ),
  );
}
