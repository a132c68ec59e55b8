import type { Dataset } from "@herald/client";
import { type ReactElement, type SubmitEvent, useEffect, useState } from "react";
import { flushSync } from "react-dom";
import { useDesk } from "../desk";
import { type ExportForm, exportJob, type ExportOffer, type FieldErrors, refusalOf } from "../exports";
import { messageOf } from "../live";
import { Button } from "./button";
import { Choice } from "./choice";
import { ExportOptions } from "./export-options";
import { DownloadIcon } from "./icons";
import { ParamField } from "./param-field";

/** Where exports begin: what the server says can be exported decides what is asked. */
export function NewExport({ offer }: { readonly offer: ExportOffer }): ReactElement {
  const { client } = useDesk();
  const [datasets, setDatasets] = useState<readonly Dataset[]>();
  const [error, setError] = useState("");
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let current = true;
    client.datasets().then(
      (answer) => {
        if (current) setDatasets(answer.datasets);
      },
      (err: unknown) => {
        if (current) setError(messageOf(err));
      },
    );
    return () => {
      current = false;
    };
  }, [client, tries]);

  if (datasets === undefined && error !== "") {
    return (
      <p role="alert" className="flex flex-wrap items-center gap-3 text-sm text-bad">
        What can be exported could not be read. {error}
        <Button
          onClick={() => {
            setError("");
            setTries((n) => n + 1);
          }}
        >
          Try again
        </Button>
      </p>
    );
  }
  if (datasets === undefined) return <div aria-busy="true" className="h-40 animate-pulse rounded-xl bg-well" />;
  const [first] = datasets;
  if (first === undefined) return <p className="text-soft">There is nothing that you may export.</p>;
  return <ExportStart datasets={datasets} first={first} offer={offer} />;
}

interface ExportStartProps {
  readonly datasets: readonly Dataset[];
  readonly first: Dataset;
  readonly offer: ExportOffer;
}

const nothing: { at: FieldErrors; rest: string } = { at: {}, rest: "" };

function ExportStart({ datasets, first, offer }: ExportStartProps): ReactElement {
  const { client, store } = useDesk();
  const [name, setName] = useState(first.name);
  const [form, setForm] = useState(offer.untouched);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState(nothing);

  const dataset = datasets.find((d) => d.name === name) ?? first;
  const { job, errors } = exportJob(dataset, form, offer);
  // As one types, only what was typed can be wrong; what is still missing is told on the way out.
  const shown = (field: string) => refused.at[field] ?? (tried || !isMissing(field, form) ? errors[field] : undefined);
  const change = (part: Partial<ExportForm>) => {
    setForm({ ...form, ...part });
    setRefused(nothing);
  };

  const start = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const element = event.currentTarget;
    const half = halfTyped(element);
    if (busy || half !== undefined || Object.keys(errors).length > 0) {
      flushSync(() => {
        setTried(true);
        if (half !== undefined) setRefused({ at: { [half]: "Write all of it, or nothing." }, rest: "" });
      });
      element.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
      return;
    }
    setBusy(true);
    setRefused(nothing);
    try {
      store.put(await client.startJob(job));
      setTried(false);
    } catch (err) {
      flushSync(() => {
        setRefused(refusalOf(err, fieldsOf(dataset)));
      });
      element.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
    } finally {
      setBusy(false);
    }
  };

  return (
    <form
      noValidate
      aria-label="New export"
      className="space-y-5"
      onSubmit={(event) => {
        void start(event);
      }}
    >
      <div className="flex min-h-7 flex-wrap items-center gap-x-3 gap-y-2">
        <Choice
          legend={offer.title("dataset")}
          hideLegend
          value={dataset.name}
          onChange={(chosen) => {
            setName(chosen);
            change({ params: {}, columns: [] });
            setTried(false);
          }}
          options={datasets.map((d) => ({ value: d.name, label: d.title }))}
        />
        <p className="text-sm text-soft">{dataset.description}</p>
      </div>
      {dataset.params.length > 0 && (
        <fieldset>
          <legend className="mb-2.5 text-sm font-semibold">{offer.title("params")}</legend>
          <div className="grid gap-x-5 gap-y-4 sm:grid-cols-2">
            {dataset.params.map((param) => (
              <div key={param.name} className={param.type === "text[]" && param.in.length > 0 ? "sm:col-span-2" : ""}>
                <ParamField
                  param={param}
                  value={form.params[param.name] ?? ""}
                  error={shown(`args.params.${param.name}`)}
                  onChange={(value) => {
                    change({ params: { ...form.params, [param.name]: value } });
                  }}
                />
              </div>
            ))}
          </div>
        </fieldset>
      )}
      <ExportOptions dataset={dataset} offer={offer} form={form} onChange={change} error={shown} />
      {refused.rest !== "" && (
        <p role="alert" className="rounded-lg bg-bad-tint px-3 py-2 text-sm">
          {refused.rest}
        </p>
      )}
      <Button type="submit" look="primary" why={busy ? "Starting it." : undefined} className="h-9 w-full sm:w-auto">
        <DownloadIcon />
        Start the export
      </Button>
    </form>
  );
}

function isMissing(field: string, form: ExportForm): boolean {
  const name = field.replace(/^args\.params\./, "");
  return name !== field && (form.params[name] ?? "").length === 0;
}

/** The name of a field in which a date was begun and not ended: its value is as if nothing had been typed. */
function halfTyped(form: HTMLFormElement): string | undefined {
  const inputs = Array.from(form.querySelectorAll("input"));
  return inputs.find((input) => input.validity.badInput)?.name;
}

/** The fields that the form shows errors at. */
function fieldsOf(dataset: Dataset): ReadonlySet<string> {
  return new Set([...dataset.params.map((p) => `args.params.${p.name}`), "args.time_zone", "args.columns"]);
}
