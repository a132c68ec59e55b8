import { type InputHTMLAttributes, type ReactElement, useId } from "react";

interface FieldProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "onChange" | "value" | "id"> {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

export const fieldLook =
  "h-8 w-full min-w-0 rounded-lg bg-card px-2.5 text-sm text-ink ring-1 ring-edge ring-inset placeholder:text-faint";

/** A line of text with its label. */
export function Field({ label, value, onChange, className = "", ...rest }: FieldProps): ReactElement {
  const id = useId();
  return (
    <div className={`min-w-0 ${className}`}>
      <label htmlFor={id} className="mb-1 block text-xs text-soft">
        {label}
      </label>
      <input
        {...rest}
        id={id}
        value={value}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => {
          onChange(event.target.value);
        }}
        className={fieldLook}
      />
    </div>
  );
}
