import { type ReactElement, useId, useRef } from "react";
import type { JsonProblem } from "./json";

interface JsonFieldProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  /** Where and why it is not JSON. */
  readonly problem: JsonProblem | undefined;
  /** What else is wrong with it, such as what the server said. */
  readonly error?: string | undefined;
  readonly note?: string | undefined;
  readonly rows?: number;
  readonly hint?: string;
}

const mostRows = 18;

/** JSON to type, with its lines numbered, and the one marked that is wrong. */
export function JsonField(props: JsonFieldProps): ReactElement {
  const { label, value, onChange, problem, error = "", note = "", rows = 3, hint } = props;
  const id = useId();
  const below = useId();
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const lines = value.split("\n").length;
  const wrong = problem !== undefined || error !== "";
  const goThere = () => {
    area.current?.focus();
    area.current?.setSelectionRange(problem?.at ?? 0, (problem?.at ?? 0) + 1);
  };
  return (
    <div>
      <label htmlFor={id} className="mb-1.5 block text-sm text-soft">
        {label}
      </label>
      <div
        className={`flex overflow-hidden rounded-lg bg-page font-mono text-[0.8125rem] leading-5 ring-1 ring-inset ${wrong ? "ring-bad" : "ring-edge"}`}
      >
        <div ref={gutter} aria-hidden="true" className="overflow-hidden border-e border-line py-2 text-end select-none">
          {Array.from({ length: lines }, (_, i) => (
            <div
              key={i}
              className={`px-2 tabular-nums ${problem?.line === i + 1 ? "bg-bad-tint font-medium text-bad" : "text-faint"}`}
            >
              {i + 1}
            </div>
          ))}
        </div>
        <textarea
          id={id}
          ref={area}
          value={value}
          rows={Math.min(Math.max(lines, rows), mostRows)}
          wrap="off"
          spellCheck={false}
          placeholder={hint}
          aria-invalid={wrong || undefined}
          aria-describedby={wrong || note !== "" ? below : undefined}
          onScroll={(event) => {
            if (gutter.current !== null) gutter.current.scrollTop = event.currentTarget.scrollTop;
          }}
          onChange={(event) => {
            onChange(event.target.value);
          }}
          className="block min-w-0 flex-1 resize-none bg-transparent px-2.5 py-2 text-ink outline-offset-[-2px] placeholder:text-faint"
        />
      </div>
      <div id={below} className="mt-1 text-sm">
        {problem !== undefined ? (
          <p role="alert" className="text-bad">
            <button type="button" onClick={goThere} className="underline underline-offset-2">
              Line {problem.line}, column {problem.column}
            </button>
            : {problem.message}
          </p>
        ) : error !== "" ? (
          <p role="alert" className="text-bad">
            {error}
          </p>
        ) : (
          note !== "" && <p className="text-soft">{note}</p>
        )}
      </div>
    </div>
  );
}
