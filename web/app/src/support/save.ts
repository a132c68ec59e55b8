import type { LogRecord } from "./record";

/** Has the browser save a text as a file. */
export function save(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => {
    URL.revokeObjectURL(url);
  }, 10_000);
}

/** Events as JSON, as the API tells of them. */
export function jsonOf(events: readonly LogRecord[]): string {
  return `${JSON.stringify({ events }, null, 2)}\n`;
}

const columns = [
  "seq",
  "id",
  "type",
  "time",
  "recorded_at",
  "job_id",
  "job_version",
  "actor",
  "topics",
  "data",
] as const;

/** Events as CSV, a row each, in the columns of the API. Nothing in it is taken for a formula by a spreadsheet. */
export function csvOf(events: readonly LogRecord[]): string {
  const rows = events.map((event) =>
    columns.map((name) => {
      const value = event[name];
      if (name === "data") return cell(JSON.stringify(value));
      if (Array.isArray(value)) return cell(value.join(" "));
      return cell(typeof value === "string" || typeof value === "number" ? String(value) : "");
    }),
  );
  return [columns.join(","), ...rows.map((row) => row.join(","))].map((line) => `${line}\r\n`).join("");
}

function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
