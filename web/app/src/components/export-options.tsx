import type { Dataset } from "@herald/client";
import { type ReactElement, useId } from "react";
import type { ExportForm, ExportOffer } from "../exports";
import type { Offer } from "../schema";
import { zones } from "../zone";
import { Choice } from "./choice";
import { Disclosure } from "./disclosure";
import { Check, Chips, Field } from "./field";

interface ExportOptionsProps {
  readonly dataset: Dataset;
  readonly offer: ExportOffer;
  readonly form: ExportForm;
  readonly onChange: (part: Partial<ExportForm>) => void;
  /** What is wrong with the field. */
  readonly error: (field: string) => string | undefined;
}

/** How the rows are written: what everybody chooses, and, behind a word that opens it, the rest. */
export function ExportOptions({ dataset, offer, form, onChange, error }: ExportOptionsProps): ReactElement {
  const csv = form.format === "csv";
  return (
    <div className="space-y-4">
      <div className="flex flex-wrap gap-x-8 gap-y-4">
        <Offered
          legend={offer.title("format")}
          offers={offer.formats}
          value={form.format}
          onChange={(format) => {
            onChange({ format });
          }}
        />
        <Offered
          legend={offer.title("compression")}
          offers={offer.compressions}
          value={form.compression}
          onChange={(compression) => {
            onChange({ compression });
          }}
        />
      </div>
      {csv && (
        <Check
          label={offer.title("csv", "safe")}
          hint={offer.description("csv", "safe")}
          checked={form.safe}
          onChange={(safe) => {
            onChange({ safe });
          }}
        />
      )}
      <Disclosure label="More options" open={error("args.time_zone") !== undefined || undefined}>
        <div className="mt-3 space-y-4">
          <TimeZone offer={offer} form={form} onChange={onChange} error={error("args.time_zone")} />
          {csv && (
            <div className="flex flex-wrap items-end gap-x-8 gap-y-4">
              <Offered
                legend={offer.title("csv", "delimiter")}
                offers={offer.delimiters}
                value={form.delimiter}
                onChange={(delimiter) => {
                  onChange({ delimiter });
                }}
              />
              <Check
                label={offer.title("csv", "header")}
                checked={form.header}
                onChange={(header) => {
                  onChange({ header });
                }}
              />
            </div>
          )}
          {dataset.columns.length > 0 && (
            <Chips
              legend={offer.title("columns")}
              hint="None chosen: all."
              error={error("args.columns")}
              options={dataset.columns.map((name) => ({ value: name, label: name }))}
              chosen={form.columns}
              onChange={(columns) => {
                onChange({ columns });
              }}
            />
          )}
        </div>
      </Disclosure>
    </div>
  );
}

function TimeZone(props: {
  readonly offer: ExportOffer;
  readonly form: ExportForm;
  readonly onChange: (part: Partial<ExportForm>) => void;
  readonly error: string | undefined;
}): ReactElement {
  const list = useId();
  return (
    <div className="max-w-72">
      <Field
        name="args.time_zone"
        label={props.offer.title("time_zone")}
        hint="Times above are meant in it, and times in the file are told in it."
        error={props.error}
      >
        {(control) => (
          <>
            <input
              {...control}
              list={list}
              autoComplete="off"
              spellCheck={false}
              value={props.form.timeZone}
              onChange={(event) => {
                props.onChange({ timeZone: event.target.value.trim() });
              }}
            />
            <datalist id={list}>
              {zones().map((zone) => (
                <option key={zone} value={zone} />
              ))}
            </datalist>
          </>
        )}
      </Field>
    </div>
  );
}

interface OfferedProps {
  readonly legend: string;
  readonly offers: readonly Offer[];
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** A choice, with what the chosen one is. */
function Offered({ legend, offers, value, onChange }: OfferedProps): ReactElement {
  return (
    <div>
      <Choice
        legend={legend}
        value={value}
        onChange={onChange}
        options={offers.map((o) => ({ value: o.value, label: o.title, title: o.description }))}
      />
      <p className="mt-1 text-[0.8125rem] text-soft">{offers.find((o) => o.value === value)?.description}</p>
    </div>
  );
}
