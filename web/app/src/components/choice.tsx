import { type ReactElement, type ReactNode, useId } from "react";

interface ChoiceProps<T extends string> {
  readonly legend: string;
  readonly options: readonly { readonly value: T; readonly label: ReactNode; readonly title?: string }[];
  readonly value: T;
  readonly onChange: (value: T) => void;
  readonly hideLegend?: boolean;
  /** Takes all the width there is. */
  readonly fill?: boolean;
}

/** More than so many fill their lines on a phone, each with a share of the room. */
const many = 6;

/** One of a few: radio buttons that look like a segmented control. */
export function Choice<T extends string>(props: ChoiceProps<T>): ReactElement {
  const { legend, options, value, onChange, hideLegend = false, fill = false } = props;
  const name = useId();
  return (
    <fieldset>
      <legend className={hideLegend ? "sr-only" : "mb-1.5 text-sm text-soft"}>{legend}</legend>
      <div className={`${fill ? "flex" : "inline-flex"} flex-wrap gap-0.5 rounded-lg bg-well p-0.5`}>
        {options.map((option) => (
          <label
            key={option.value}
            title={option.title}
            className={`flex h-7 items-center justify-center rounded-md ${options.length > many ? "grow px-1" : fill ? "grow px-2" : "px-2"} text-[0.8125rem] sm:px-2.5 sm:text-sm whitespace-nowrap text-soft transition-colors hover:text-ink has-checked:bg-card has-checked:font-medium has-checked:text-ink has-checked:shadow-sm has-checked:ring-1 has-checked:ring-edge has-focus-visible:outline-2 has-focus-visible:outline-accent`}
          >
            <input
              type="radio"
              name={name}
              value={option.value}
              checked={option.value === value}
              onChange={() => {
                onChange(option.value);
              }}
              className="sr-only"
            />
            {option.label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
