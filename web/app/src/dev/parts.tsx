import { type ReactElement, type ReactNode, useEffect, useId, useState } from "react";
import { Button } from "../components/button";
import { Select as Native } from "../components/select";

export const inputShape =
  "h-9 w-full min-w-0 rounded-lg bg-page px-2.5 text-ink ring-1 ring-edge ring-inset placeholder:text-faint";

/** A box for one thing, with its name. */
export function Panel({
  title,
  children,
  action,
}: {
  readonly title: string;
  readonly children: ReactNode;
  readonly action?: ReactNode;
}): ReactElement {
  const id = useId();
  return (
    <section aria-labelledby={id} className="min-w-0 rounded-2xl bg-card p-4 ring-1 ring-line sm:p-5">
      <div className="mb-4 flex min-h-8 flex-wrap items-center justify-between gap-x-3 gap-y-2">
        <h2 id={id} className="font-medium">
          {title}
        </h2>
        {action}
      </div>
      {children}
    </section>
  );
}

interface TextFieldProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly hint?: string;
  /** What is wrong with it; empty when nothing is. */
  readonly error?: string | undefined;
  readonly note?: ReactNode;
  readonly mono?: boolean;
  readonly inputMode?: "text" | "numeric" | "decimal";
  readonly suggestions?: readonly string[];
  readonly className?: string;
}

/** A line of text with a label, and what is wrong with it below. */
export function TextField(props: TextFieldProps): ReactElement {
  const {
    label,
    value,
    onChange,
    hint,
    error = "",
    note,
    mono = false,
    inputMode,
    suggestions = [],
    className,
  } = props;
  const below = useId();
  const list = useId();
  return (
    <div className={className}>
      <label className="block text-sm text-soft">
        <span className="mb-1.5 block">{label}</span>
        <input
          type="text"
          autoComplete="off"
          spellCheck={false}
          inputMode={inputMode}
          placeholder={hint}
          value={value}
          list={suggestions.length > 0 ? list : undefined}
          aria-invalid={error !== "" || undefined}
          aria-describedby={error !== "" || note !== undefined ? below : undefined}
          onChange={(event) => {
            onChange(event.target.value);
          }}
          className={`${inputShape} ${mono ? "font-mono text-[0.8125rem]" : ""}`}
        />
      </label>
      {suggestions.length > 0 && (
        <datalist id={list}>
          {suggestions.map((suggestion) => (
            <option key={suggestion} value={suggestion} />
          ))}
        </datalist>
      )}
      {(error !== "" || note !== undefined) && (
        <p id={below} role={error === "" ? undefined : "alert"} className={`mt-1 text-sm ${tone(error)}`}>
          {error === "" ? note : error}
        </p>
      )}
    </div>
  );
}

function tone(error: string): string {
  return error === "" ? "text-soft" : "text-bad";
}

interface SelectProps<T extends string> {
  readonly label: string;
  readonly value: T;
  readonly options: readonly { readonly value: T; readonly label: string }[];
  readonly onChange: (value: T) => void;
  readonly className?: string;
}

/** One of many. */
export function Select<T extends string>({ label, value, options, onChange, className }: SelectProps<T>): ReactElement {
  return (
    <label className={`block text-sm text-soft ${className ?? ""}`}>
      <span className="mb-1.5 block">{label}</span>
      <Native
        value={value}
        onChange={(event) => {
          onChange(event.target.value as T);
        }}
        className={inputShape}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </Native>
    </label>
  );
}

/** A text to read and to copy. */
export function Code({ label, text }: { readonly label: string; readonly text: string }): ReactElement {
  return (
    <div className="min-w-0 overflow-hidden rounded-xl bg-page ring-1 ring-line ring-inset">
      <div className="flex items-center justify-between gap-2 py-1 pe-1 ps-3">
        <p className="text-sm text-soft">{label}</p>
        <Copy text={() => text} what={label} />
      </div>
      <pre
        tabIndex={0}
        role="group"
        aria-label={label}
        className="max-h-72 overflow-auto px-3 pb-3 font-mono text-[0.8125rem] leading-relaxed text-ink"
      >
        {text}
      </pre>
    </div>
  );
}

/** Copies a text, and says that it has, or that the browser did not let it. */
export function Copy({ text, what }: { readonly text: () => string; readonly what: string }): ReactElement {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (said === "") return undefined;
    const timer = setTimeout(() => {
      setSaid("");
    }, 2000);
    return () => {
      clearTimeout(timer);
    };
  }, [said]);
  const copy = () => {
    // Elsewhere than on HTTPS and on this machine, a page has no clipboard.
    const clipboard = navigator.clipboard as Clipboard | undefined;
    (clipboard?.writeText(text()) ?? Promise.reject(new Error("no clipboard"))).then(
      () => {
        setSaid("Copied");
      },
      () => {
        setSaid("Not allowed");
      },
    );
  };
  return (
    <Button look="quiet" onClick={copy} aria-label={`Copy: ${what}`}>
      <span aria-live="polite">{said === "" ? "Copy" : said}</span>
    </Button>
  );
}

/** JSON for people to read, or the text itself. */
export function pretty(value: unknown, text = ""): string {
  return value === undefined ? text : JSON.stringify(value, null, 2);
}
