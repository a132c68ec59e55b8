import { type ReactElement, type ReactNode, useId } from "react";

/** What a control needs to belong to its label, its hint and what is wrong with it. */
export interface FieldControl {
  readonly id: string;
  readonly name: string;
  readonly required: boolean;
  readonly "aria-invalid": boolean;
  readonly "aria-describedby": string | undefined;
  readonly className: string;
}

interface FieldProps {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly error?: string | undefined;
  readonly required?: boolean;
  readonly children: (control: FieldControl) => ReactNode;
}

const shape =
  "block h-9 w-full min-w-0 rounded-lg bg-page px-2.5 text-sm text-ink ring-1 ring-edge ring-inset placeholder:text-faint aria-invalid:ring-2 aria-invalid:ring-bad";

/** A labelled control with its hint, and what is wrong with it beneath. */
export function Field({ name, label, hint = "", error, required = false, children }: FieldProps): ReactElement {
  const id = useId();
  const wrong = error !== undefined && error !== "";
  const described = [hint !== "" && `${id}-hint`, wrong && `${id}-error`].filter((x) => x !== false).join(" ");
  return (
    <div className="min-w-0">
      <label htmlFor={id} className="mb-1 block text-sm font-medium">
        {label}
        {!required || <span className="font-normal text-soft"> (needed)</span>}
      </label>
      {children({
        id,
        name,
        required,
        "aria-invalid": wrong,
        "aria-describedby": described === "" ? undefined : described,
        className: shape,
      })}
      {hint !== "" && (
        <p id={`${id}-hint`} className="mt-1 text-[0.8125rem] leading-snug text-soft">
          {hint}
        </p>
      )}
      {wrong && <FieldError id={`${id}-error`} text={error} />}
    </div>
  );
}

export function FieldError({ id, text }: { readonly id?: string; readonly text: string }): ReactElement {
  return (
    <p id={id} role="alert" className="mt-1 text-[0.8125rem] leading-snug text-bad">
      {text}
    </p>
  );
}

interface ChipsProps {
  readonly legend: string;
  readonly hint?: string;
  readonly error?: string | undefined;
  readonly options: readonly { readonly value: string; readonly label: string }[];
  readonly chosen: readonly string[];
  readonly onChange: (chosen: readonly string[]) => void;
}

/** Any number of some values: checkboxes that look like chips. */
export function Chips({ legend, hint = "", error, options, chosen, onChange }: ChipsProps): ReactElement {
  const id = useId();
  return (
    <fieldset aria-describedby={hint === "" ? undefined : id}>
      <legend className="mb-1 text-sm font-medium">{legend}</legend>
      <div className="flex flex-wrap gap-1.5">
        {options.map(({ value, label }) => (
          <label
            key={value}
            className="inline-flex h-7 cursor-pointer items-center rounded-full bg-page px-2.5 text-[0.8125rem] text-soft ring-1 ring-edge transition-colors ring-inset hover:text-ink has-checked:bg-tint has-checked:font-medium has-checked:text-accent has-checked:ring-accent has-focus-visible:outline-2 has-focus-visible:outline-accent"
          >
            <input
              type="checkbox"
              checked={chosen.includes(value)}
              onChange={(event) => {
                onChange(event.target.checked ? [...chosen, value] : chosen.filter((other) => other !== value));
              }}
              className="sr-only"
            />
            {label}
          </label>
        ))}
      </div>
      {hint !== "" && (
        <p id={id} className="mt-1 text-[0.8125rem] leading-snug text-soft">
          {hint}
        </p>
      )}
      {error !== undefined && error !== "" && <FieldError text={error} />}
    </fieldset>
  );
}

interface CheckProps {
  readonly label: string;
  readonly hint?: string;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
}

/** Yes or no. */
export function Check({ label, hint = "", checked, onChange }: CheckProps): ReactElement {
  const id = useId();
  return (
    <label className="flex cursor-pointer items-start gap-2 text-sm">
      <input
        type="checkbox"
        checked={checked}
        aria-describedby={hint === "" ? undefined : id}
        onChange={(event) => {
          onChange(event.target.checked);
        }}
        className="mt-0.5 size-4 shrink-0 accent-accent"
      />
      <span>
        {label}
        {hint !== "" && (
          <span id={id} className="block text-[0.8125rem] leading-snug text-soft">
            {hint}
          </span>
        )}
      </span>
    </label>
  );
}
