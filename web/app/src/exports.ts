import { type Dataset, type DatasetParam, HeraldError, type JobKind, type NewJob } from "@herald/client";
import { messageOf } from "./live";
import { at, offersOf, type Offer, textOf } from "./schema";
import { instantIn, isZone } from "./zone";

/** What is chosen and typed on the form of an export. */
export interface ExportForm {
  /** By the parameter's name: as typed, or the chosen ones of a list. */
  readonly params: Readonly<Record<string, string | readonly string[]>>;
  readonly format: string;
  readonly compression: string;
  readonly timeZone: string;
  /** None: all. */
  readonly columns: readonly string[];
  readonly header: boolean;
  readonly delimiter: string;
  readonly safe: boolean;
}

/** What can be chosen besides a dataset's parameters, in the words of the kind's schema. */
export interface ExportOffer {
  readonly formats: readonly Offer[];
  readonly compressions: readonly Offer[];
  readonly delimiters: readonly Offer[];
  /** What people call a member of the args, by its path. */
  readonly title: (...path: string[]) => string;
  readonly description: (...path: string[]) => string;
  readonly untouched: ExportForm;
}

/** What is wrong with which field, by its path in a new job, such as "args.params.since". */
export type FieldErrors = Readonly<Record<string, string>>;

/** The choices of an export; undefined when the server's workers do none. */
export function exportOffer(kinds: readonly JobKind[], zone: string): ExportOffer | undefined {
  const schema = kinds.find((k) => k.name === "export")?.schema;
  if (schema === undefined) return undefined;
  const member = (...path: string[]) => at(schema, ...path.flatMap((name) => ["properties", name]));
  return {
    formats: offersOf(member("format")),
    compressions: offersOf(member("compression")),
    delimiters: offersOf(member("csv", "delimiter")),
    title: (...path) => textOf(at(member(...path), "title")) || (path.at(-1) ?? ""),
    description: (...path) => textOf(at(member(...path), "description")),
    untouched: {
      params: {},
      format: textOf(at(member("format"), "default")),
      compression: textOf(at(member("compression"), "default")),
      timeZone: zone,
      columns: [],
      header: at(member("csv", "header"), "default") !== false,
      delimiter: textOf(at(member("csv", "delimiter"), "default")),
      safe: at(member("csv", "safe"), "default") === true,
    },
  };
}

/** The form as a job, and what is wrong with it: nothing, if it can be started. */
export function exportJob(
  dataset: Dataset,
  form: ExportForm,
  offer: ExportOffer,
): { readonly job: NewJob; readonly errors: FieldErrors } {
  const params: Record<string, unknown> = {};
  const errors: Record<string, string> = {};
  if (!isZone(form.timeZone)) errors["args.time_zone"] = "Choose a time zone such as Europe/Berlin or UTC.";
  for (const param of dataset.params) {
    const given = form.params[param.name] ?? "";
    if (given.length === 0 || (typeof given === "string" && given.trim() === "")) {
      if (param.required) errors[`args.params.${param.name}`] = "This is needed.";
      continue;
    }
    const value = valueOf(param, given, form.timeZone);
    if (value instanceof Wrong) errors[`args.params.${param.name}`] = value.message;
    else params[param.name] = value;
  }
  const format = offer.formats.find((f) => f.value === form.format)?.title ?? form.format;
  const csv = { header: form.header, delimiter: form.delimiter, safe: form.safe };
  return {
    errors,
    job: {
      kind: "export",
      title: `${dataset.title} as ${format}`,
      args: {
        dataset: dataset.name,
        params,
        format: form.format,
        compression: form.compression,
        time_zone: form.timeZone,
        ...(form.columns.length > 0 && { columns: dataset.columns.filter((c) => form.columns.includes(c)) }),
        ...(form.format === "csv" && { csv }),
      },
    },
  };
}

/** What is wrong with a value. */
class Wrong {
  constructor(readonly message: string) {}
}

const longest: Partial<Record<DatasetParam["type"], bigint>> = { integer: 2n ** 31n, bigint: 2n ** 63n };

/** What was typed, as the server wants it. */
function valueOf(param: DatasetParam, given: string | readonly string[], zone: string): unknown {
  const value = param.type === "text[]" ? listed(given) : String(given).trim();
  const tooLong = new TextEncoder().encode(JSON.stringify(value)).length > param.max_length;
  if (tooLong) return new Wrong("This is too long.");
  if (typeof value !== "string") {
    const most = param.max_items ?? Infinity;
    return value.length > most ? new Wrong(`At most ${String(most)} are taken.`) : value;
  }
  switch (param.type) {
    case "integer":
    case "bigint":
      return wholeNumber(value, longest[param.type] ?? 0n);
    case "numeric":
      return /^[+-]?\d{1,200}(\.\d{1,200})?$/.test(value) ? value : new Wrong("Write a number such as 12.5.");
    case "boolean":
      return value === "true";
    case "date":
      return /^\d{4}-\d\d-\d\d$/.test(value) ? value : new Wrong("Write a date.");
    case "timestamptz":
      return (isZone(zone) ? instantIn(value, zone) : value) ?? new Wrong("Write a date and a time.");
    case "uuid":
      return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)
        ? value
        : new Wrong("Write an id of 32 digits in five groups, as it stands in the address of a job.");
    default:
      return value;
  }
}

function listed(given: string | readonly string[]): readonly string[] {
  if (typeof given !== "string") return given;
  return given
    .split(",")
    .map((text) => text.trim())
    .filter((text) => text !== "");
}

function wholeNumber(text: string, beyond: bigint): string | Wrong {
  if (!/^[+-]?\d{1,30}$/.test(text)) return new Wrong("Write a whole number.");
  const n = BigInt(text.replace("+", ""));
  return n >= -beyond && n < beyond ? text : new Wrong("This number is too large.");
}

/** What the server said of a form: at its fields, and what belongs to none of those. */
export function refusalOf(err: unknown, fields: ReadonlySet<string>): { at: FieldErrors; rest: string } {
  const told = err instanceof HeraldError ? err.errors : [];
  const mine = told.filter((e) => fields.has(e.field));
  const others = told.filter((e) => !fields.has(e.field)).map((e) => `${e.field}: ${e.detail}`);
  return {
    at: Object.fromEntries(mine.map((e) => [e.field, `${e.detail.charAt(0).toUpperCase()}${e.detail.slice(1)}.`])),
    rest: mine.length === 0 ? messageOf(err) : others.join("; "),
  };
}
