import type { Artifact, Job } from "@herald/client";
import { sentence } from "./format";
import type { TableFormat } from "./preview";

/** What an export job has made. */
export interface ExportResult extends TableFormat {
  readonly dataset: string;
  readonly rows: number;
  readonly size: number;
  readonly sha256: string;
  readonly artifact: Artifact;
}

/** The result of a finished export; undefined for any other job. */
export function exportResult(job: Job): ExportResult | undefined {
  const result = fieldsOf(job.result);
  const artifacts = result["artifacts"];
  const artifact = Array.isArray(artifacts) ? (artifacts[0] as Artifact | undefined) : undefined;
  if (job.kind !== "export" || artifact === undefined) return undefined;
  const csv = fieldsOf(fieldsOf(job.args)["csv"]);
  return {
    dataset: textOf(result["dataset"]),
    rows: typeof result["rows"] === "number" ? result["rows"] : 0,
    size: artifact.size,
    sha256: artifact.sha256,
    format: textOf(result["format"]),
    compression: textOf(result["compression"]) || "none",
    delimiter: textOf(csv["delimiter"]) || ",",
    header: csv["header"] !== false,
    artifact,
  };
}

const formats: Partial<Record<string, string>> = { csv: "CSV", ndjson: "NDJSON", parquet: "Parquet" };

/** What an export makes, in words: "Events, CSV, gzip". */
export function exportKind(job: Job): string {
  if (job.kind !== "export") return "";
  const args = fieldsOf(job.args);
  const format = textOf(args["format"]) || "csv";
  const compression = textOf(args["compression"]);
  const words = [
    sentence(textOf(args["dataset"])),
    formats[format] ?? format,
    compression === "none" ? "" : compression,
  ];
  return words.filter((word) => word !== "").join(", ");
}

/** The members of a JSON object; none of what is no object. */
export function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
