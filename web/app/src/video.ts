import type { Artifact, Job } from "@herald/client";

/** What a video job has made. */
export interface VideoResult {
  readonly durationMs: number;
  readonly width: number;
  readonly height: number;
  /** What of the video is not in the result, in words. */
  readonly notes: string;
  readonly artifacts: readonly Artifact[];
}

/** The args of a video job but for its source. */
export interface VideoArgs {
  readonly preset: string;
  /** In seconds. */
  readonly trim?: { readonly start: number; readonly end?: number };
  readonly fps?: number;
  readonly crf?: number;
}

/** Small pictures of the video at equal distances, in one image. */
export interface Sprite {
  readonly url: string;
  readonly columns: number;
  readonly rows: number;
  /** How many of its places are filled. */
  readonly count: number;
  readonly width: number;
  readonly height: number;
}

/** The result of a finished video job; undefined for any other job. */
export function videoResult(job: Job): VideoResult | undefined {
  const result: unknown = job.result;
  if (job.kind !== "video" || !isRecord(result) || !Array.isArray(result["artifacts"])) return undefined;
  return {
    durationMs: numberOf(result["duration_ms"]),
    width: numberOf(result["width"]),
    height: numberOf(result["height"]),
    notes: typeof result["notes"] === "string" ? result["notes"] : "",
    artifacts: result["artifacts"] as Artifact[],
  };
}

/** The name of the preset that a video job was started with. */
export function presetOf(job: Job): string {
  const args: unknown = job.args;
  return isRecord(args) && typeof args["preset"] === "string" ? args["preset"] : "";
}

/** What a video job was made from, in words. */
export function sourceOf(job: Job): string {
  const args: unknown = job.args;
  const source = isRecord(args) ? args["source"] : undefined;
  if (!isRecord(source)) return "";
  const test = source["test"];
  return isRecord(test) ? `Test video of ${String(numberOf(test["seconds"]))} s` : "Uploaded file";
}

/** The sprite among a result's artifacts. */
export function spriteOf(artifacts: readonly Artifact[]): Sprite | undefined {
  const artifact = artifacts.find((a) => a.kind === "thumbnails");
  const details: unknown = artifact?.details;
  if (artifact === undefined || !isRecord(details)) return undefined;
  const columns = numberOf(details["columns"]);
  const rows = numberOf(details["rows"]);
  const sprite = {
    url: artifact.url,
    columns,
    rows,
    count: numberOf(details["count"]) || columns * rows,
    width: numberOf(details["width"]),
    height: numberOf(details["height"]),
  };
  return sprite.columns > 0 && sprite.rows > 0 ? sprite : undefined;
}

/** A number among what a worker reports besides the known fields, such as fps. */
export function detail(job: Job, name: string): number | undefined {
  const details: unknown = job.details;
  const value = isRecord(details) ? details[name] : undefined;
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
