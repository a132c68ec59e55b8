import { type ReactElement, useId } from "react";
import { type Quality, type VideoForm } from "../options";
import type { Preset } from "../presets";
import { Choice } from "./choice";
import { DownIcon } from "./icons";

const qualities: readonly { readonly value: Quality; readonly label: string }[] = [
  { value: "smaller", label: "Smaller file" },
  { value: "usual", label: "Balanced" },
  { value: "better", label: "Better picture" },
];

interface VideoOptionsProps {
  readonly preset: Preset | undefined;
  readonly form: VideoForm;
  readonly onChange: (form: VideoForm) => void;
  /** What is wrong with the form; empty when nothing is. */
  readonly error: string;
}

/** What few people want to change, behind a word that opens it. */
export function VideoOptions({ preset, form, onChange, error }: VideoOptionsProps): ReactElement {
  const wrong = useId();
  const set = (change: Partial<VideoForm>) => {
    onChange({ ...form, ...change });
  };
  const field = { describedBy: error === "" ? undefined : wrong };
  return (
    <div className="mt-3 space-y-2">
      <details className="group">
        <summary className="inline-flex cursor-pointer list-none items-center gap-1 rounded text-sm text-soft hover:text-ink [&::-webkit-details-marker]:hidden">
          <span className="transition-transform group-open:rotate-180">
            <DownIcon size={14} />
          </span>
          More options
        </summary>
        <div className="mt-3 flex flex-wrap items-end gap-x-5 gap-y-3">
          <Field
            {...field}
            label="From"
            hint="the start"
            value={form.from}
            onChange={(from) => {
              set({ from });
            }}
          />
          <Field
            {...field}
            label="To"
            hint="the end"
            value={form.to}
            onChange={(to) => {
              set({ to });
            }}
          />
          {preset?.fps !== undefined && (
            <Field
              {...field}
              label="Frames a second"
              hint={preset.fps.usual === undefined ? "as they are" : String(preset.fps.usual)}
              value={form.fps}
              onChange={(fps) => {
                set({ fps });
              }}
            />
          )}
          {preset?.crf !== undefined && (
            <Choice
              legend="Quality"
              options={qualities}
              value={form.quality}
              onChange={(quality) => {
                set({ quality });
              }}
            />
          )}
        </div>
      </details>
      {error !== "" && (
        <p id={wrong} role="alert" className="text-sm text-bad">
          {error}
        </p>
      )}
    </div>
  );
}

interface FieldProps {
  readonly label: string;
  /** What is taken when nothing is typed. */
  readonly hint: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly describedBy: string | undefined;
}

function Field({ label, hint, value, onChange, describedBy }: FieldProps): ReactElement {
  return (
    <label className="block text-sm text-soft">
      <span className="mb-1.5 block">{label}</span>
      <input
        type="text"
        inputMode="decimal"
        autoComplete="off"
        placeholder={hint}
        value={value}
        aria-describedby={describedBy}
        onChange={(event) => {
          onChange(event.target.value);
        }}
        className="h-8 w-28 rounded-lg bg-page px-2.5 text-ink ring-1 ring-edge ring-inset placeholder:text-faint"
      />
    </label>
  );
}
