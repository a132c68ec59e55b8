/** The first rows of a table, as text. A cell is null where there is no value. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
  /** Columns that are not shown. */
  readonly moreColumns: number;
}

/** How a table is written down. */
export interface TableFormat {
  readonly format: string;
  readonly compression: string;
  readonly delimiter: string;
  /** The first line has the columns' names. */
  readonly header: boolean;
}

export const mostRows = 100;
const mostColumns = 40;
const longestCell = 300;
/** How much of the file is fetched, and how much text is taken of it, in bytes and letters. */
const fetched = 256 * 1024;
const taken = 1024 * 1024;

/** Why a file cannot be looked into here; empty when it can. */
export function whyNoPreview({ format, compression }: TableFormat): string {
  if (format === "parquet") return "Parquet is made for programs to read, so there is no preview.";
  if (format !== "csv" && format !== "ndjson") return "There is no preview of such a file.";
  if (compression === "none") return "";
  if (compression === "gzip" && "DecompressionStream" in globalThis) return "";
  return `Browsers cannot open files that are compressed by ${compression}, so there is no preview.`;
}

/** Fetches the beginning of the file and reads its first rows. */
export async function readPreview(url: string, format: TableFormat, signal: AbortSignal): Promise<Table> {
  const response = await fetch(url, { headers: { range: `bytes=0-${String(fetched - 1)}` }, signal });
  if (response.status === 416) return { columns: [], rows: [], moreColumns: 0 }; // an empty file has no such range
  if (response.status === 410 || response.status === 404) throw new Error("The file is no longer kept.");
  if (!response.ok || response.body === null) throw new Error("The file cannot be read at the moment.");
  const { text, whole } = await textOf(response.body, format.compression, isWhole(response));
  return tableOf(text, whole, format);
}

/** Whether the answer has the file to its end. */
function isWhole(response: Response): boolean {
  const range = /^bytes 0-(\d+)\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
  return range === null || Number(range[1]) + 1 === Number(range[2]);
}

/**
 * Reads text, up to a bound that a small file which unpacks to a huge one does not
 * pass. What is cut off in the middle of its compression counts as far as it goes.
 */
async function textOf(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  compression: string,
  all: boolean,
): Promise<{ text: string; whole: boolean }> {
  const plain = compression === "gzip" ? body.pipeThrough(new DecompressionStream("gzip")) : body;
  const reader = plain.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { text: text + decoder.decode(), whole: all };
      text += decoder.decode(value, { stream: true });
      if (text.length < taken) continue;
      await reader.cancel();
      return { text, whole: false };
    }
  } catch (err) {
    if (all || text === "") throw err;
    return { text, whole: false };
  }
}

/** Reads the first rows of text that may be cut off anywhere. */
export function tableOf(text: string, whole: boolean, format: TableFormat): Table {
  const table = format.format === "ndjson" ? ofNDJSON(text, whole) : ofCSV(text, whole, format);
  return {
    columns: table.columns.slice(0, mostColumns).map(cut),
    rows: table.rows.map((row) => row.slice(0, mostColumns).map((cell) => (cell === null ? null : cut(cell)))),
    moreColumns: Math.max(table.columns.length - mostColumns, 0),
  };
}

interface Rows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
}

function ofCSV(text: string, whole: boolean, { delimiter, header }: TableFormat): Rows {
  const records = parseCSV(text, delimiter, whole, mostRows + (header ? 1 : 0));
  const [first] = records;
  if (first === undefined) return { columns: [], rows: [] };
  if (!header) return { columns: first.map((_, i) => `Column ${String(i + 1)}`), rows: records };
  return { columns: first.map((name) => name ?? ""), rows: records.slice(1) };
}

/** Reads the records of CSV, at most so many; one that may be cut off is left out. */
export function parseCSV(text: string, delimiter: string, whole: boolean, most: number): (string | null)[][] {
  const records: (string | null)[][] = [];
  let record: (string | null)[] = [];
  let at = 0;
  while (at < text.length && records.length < most) {
    const field = fieldAt(text, at, delimiter);
    if (field.end >= text.length && !whole) break;
    record.push(field.value);
    at = field.end + 1;
    const separator = text[field.end];
    if (separator === delimiter && at < text.length) continue;
    if (separator === delimiter) record.push(null); // the file ends with an empty field
    if (separator === "\r" && text[at] === "\n") at++;
    records.push(record);
    record = [];
  }
  return records;
}

/** The field that begins there, and where it ends: at a delimiter, a line's end, or the text's. */
function fieldAt(text: string, start: number, delimiter: string): { value: string | null; end: number } {
  if (text[start] !== '"') {
    let end = start;
    while (end < text.length && text[end] !== delimiter && text[end] !== "\n" && text[end] !== "\r") end++;
    return { value: end === start ? null : text.slice(start, end), end };
  }
  let value = "";
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return { value: value + text.slice(at), end: text.length };
    value += text.slice(at, quote);
    if (text[quote + 1] !== '"') {
      let end = quote + 1;
      while (end < text.length && text[end] !== delimiter && text[end] !== "\n" && text[end] !== "\r") end++;
      return { value: value + text.slice(quote + 1, end), end };
    }
    value += '"';
    at = quote + 2;
  }
}

function ofNDJSON(text: string, whole: boolean): Rows {
  const lines = text.split("\n", mostRows + 1);
  const complete = whole || lines.length > mostRows ? lines : lines.slice(0, -1);
  const objects = complete
    .slice(0, mostRows)
    .filter((line) => line.trim() !== "")
    .map(parseLine);
  const columns = [...new Set(objects.flatMap((o) => Object.keys(o)))];
  const rows = objects.map((o) => columns.map((name) => (Object.hasOwn(o, name) ? asText(o[name]) : null)));
  return { columns, rows };
}

/** A line as an object; what is none is shown as it is. */
function parseLine(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line, exactly);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // shown as text
  }
  return { line };
}

/** Keeps the digits of a number that a browser's own numbers cannot hold. */
function exactly(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === "number" && context?.source !== undefined && String(value) !== context.source
    ? context.source
    : value;
}

function asText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}

function cut(cell: string): string {
  return cell.length > longestCell ? `${cell.slice(0, longestCell)}…` : cell;
}
