import type { DatasetParam } from "@herald/client";
import type { ReactElement } from "react";
import { sentence } from "../format";
import { Chips, Field } from "./field";
import { Select } from "./select";

interface ParamFieldProps {
  readonly param: DatasetParam;
  readonly value: string | readonly string[];
  readonly error: string | undefined;
  readonly onChange: (value: string | readonly string[]) => void;
}

const inputs: Partial<Record<DatasetParam["type"], { type: string; mode?: "numeric" | "decimal"; step?: string }>> = {
  integer: { type: "text", mode: "numeric" },
  bigint: { type: "text", mode: "numeric" },
  numeric: { type: "text", mode: "decimal" },
  date: { type: "date" },
  timestamptz: { type: "datetime-local", step: "1" },
};

/** The control of a dataset's parameter, by its type and what it may be. */
export function ParamField({ param, value, error, onChange }: ParamFieldProps): ReactElement {
  const label = sentence(param.name);
  if (param.type === "text[]" && param.in.length > 0) {
    return (
      <Chips
        legend={param.required ? `${label} (needed)` : label}
        hint={param.description}
        error={error}
        options={param.in.map((name) => ({ value: name, label: sentence(name) }))}
        chosen={typeof value === "string" ? [] : value}
        onChange={onChange}
      />
    );
  }
  const choices = param.type === "boolean" ? ["true", "false"] : param.in;
  const list = param.type === "text[]" ? " Several: with commas between." : "";
  const { type, mode, step } = inputs[param.type] ?? { type: "text" };
  return (
    <Field
      name={`args.params.${param.name}`}
      label={label}
      hint={`${param.description}${list}`}
      error={error}
      required={param.required}
    >
      {(control) =>
        choices.length > 0 ? (
          <Select
            {...control}
            value={String(value)}
            onChange={(event) => {
              onChange(event.target.value);
            }}
          >
            <option value="">{param.default === null ? "Any" : named(param.default)}</option>
            {choices.map((name) => (
              <option key={name} value={name}>
                {named(name)}
              </option>
            ))}
          </Select>
        ) : (
          <input
            {...control}
            type={type}
            inputMode={mode}
            step={step}
            autoComplete="off"
            spellCheck={false}
            placeholder={param.default ?? undefined}
            value={String(value)}
            onChange={(event) => {
              onChange(event.target.value);
            }}
          />
        )
      }
    </Field>
  );
}

function named(value: string): string {
  if (value === "true") return "Yes";
  return value === "false" ? "No" : sentence(value);
}
