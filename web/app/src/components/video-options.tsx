import { type ReactElement, useId } from "react";
import type { Quality, VideoForm, Wrong } from "../options";
import type { Preset } from "../presets";
import { Choice } from "./choice";
import { Disclosure } from "./disclosure";

const qualities: readonly { readonly value: Quality; readonly label: string }[] = [
  { value: "smaller", label: "Smaller file" },
  { value: "usual", label: "Balanced" },
  { value: "better", label: "Better picture" },
];

interface VideoOptionsProps {
  readonly preset: Preset | undefined;
  readonly form: VideoForm;
  readonly onChange: (form: VideoForm) => void;
  readonly wrong: Wrong | undefined;
}

/** What few people want to change, behind a word that opens it. */
export function VideoOptions({ preset, form, onChange, wrong }: VideoOptionsProps): ReactElement {
  const error = useId();
  const set = (change: Partial<VideoForm>) => {
    onChange({ ...form, ...change });
  };
  const field = (name: Wrong["field"]) => ({ wrong: wrong?.field === name ? error : undefined });
  return (
    <div className="mt-3 space-y-2">
      <Disclosure label="More options">
        <div className="mt-3 flex flex-wrap items-end gap-x-5 gap-y-3">
          <Field
            {...field("from")}
            label="From"
            hint="the start"
            value={form.from}
            onChange={(from) => {
              set({ from });
            }}
          />
          <Field
            {...field("to")}
            label="To"
            hint="the end"
            value={form.to}
            onChange={(to) => {
              set({ to });
            }}
          />
          {preset?.fps !== undefined && (
            <Field
              {...field("fps")}
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
      </Disclosure>
      {wrong !== undefined && (
        <p id={error} role="alert" className="text-sm text-bad">
          {wrong.error}
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
  /** The id of what is said to be wrong with it; undefined when nothing is. */
  readonly wrong: string | undefined;
}

function Field({ label, hint, value, onChange, wrong }: FieldProps): ReactElement {
  return (
    <label className="block text-sm text-soft">
      <span className="mb-1.5 block">{label}</span>
      <input
        type="text"
        inputMode="decimal"
        autoComplete="off"
        placeholder={hint}
        value={value}
        aria-invalid={wrong !== undefined}
        aria-describedby={wrong}
        onChange={(event) => {
          onChange(event.target.value);
        }}
        className="h-8 w-28 rounded-lg bg-page px-2.5 text-ink ring-1 ring-edge ring-inset placeholder:text-faint aria-invalid:ring-2 aria-invalid:ring-bad"
      />
    </label>
  );
}
