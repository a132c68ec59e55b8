import type { Job } from "@herald/client";
import type { LoggedEvent } from "./timeline";

/** One part of a job's plan, as the page shows it. */
export interface Part {
  readonly name: string;
  readonly state: "waiting" | "under way" | "done" | "stopped";
  /** The share of this step that is done. */
  readonly share: number;
  readonly startedAt: number | undefined;
  /** How long it took; undefined until it is done. */
  readonly tookMs: number | undefined;
}

/** A step that stopped at its very beginning is shown to have stopped there all the same. */
const visible = 0.08;

/** The job's steps, each with its own share, worked out of the share of the whole. */
export function partsOf(job: Job): Part[] {
  const all = job.steps.reduce((sum, s) => sum + s.weight, 0);
  let before = 0;
  return job.steps.map((step) => {
    const base = before;
    before += step.weight;
    const started = step.started_at === undefined ? undefined : Date.parse(step.started_at);
    const finished = step.finished_at === undefined ? undefined : Date.parse(step.finished_at);
    const part = { name: step.name, startedAt: started };
    if (started === undefined) return { ...part, state: "waiting", share: 0, tookMs: undefined };
    if (finished !== undefined) return { ...part, state: "done", share: 1, tookMs: finished - started };
    const share = step.weight > 0 ? clamp((job.progress * all - base) / step.weight) : 0;
    const moving = job.state === "running" || job.state === "cancelling";
    return moving
      ? { ...part, state: "under way", share, tookMs: undefined }
      : { ...part, state: "stopped", share: Math.max(share, visible), tookMs: undefined };
  });
}

/**
 * The job's steps as its log tells of them, for a job without a plan: each has
 * ended when the next begins.
 */
export function toldParts(job: Job, events: readonly LoggedEvent[]): Part[] {
  const started = events.filter((e) => e.type === "job.step" && attemptOf(e) === job.attempt);
  return started.map((event, i) => {
    const startedAt = Date.parse(event.time);
    const next = started[i + 1];
    const end = next !== undefined ? Date.parse(next.time) : job.state === "succeeded" ? endOf(job) : undefined;
    const part = { name: stepOf(event), startedAt, share: 1 };
    if (end !== undefined) return { ...part, state: "done", tookMs: end - startedAt };
    const moving = job.state === "running" || job.state === "cancelling";
    return { ...part, share: moving ? 0.5 : visible, state: moving ? "under way" : "stopped", tookMs: undefined };
  });
}

function endOf(job: Job): number | undefined {
  return job.finished_at === null ? undefined : Date.parse(job.finished_at);
}

function attemptOf(event: LoggedEvent): unknown {
  return (event.data as { readonly attempt?: unknown } | null)?.attempt;
}

function stepOf(event: LoggedEvent): string {
  const step = (event.data as { readonly step?: unknown } | null)?.step;
  return typeof step === "string" ? step : "";
}

/** The last percent is kept for the end: a job that says it is done is not done before its success is recorded. */
const almost = 0.99;

/**
 * The share to show of a job: the whole only when it has succeeded, and
 * undefined while it runs without a word of how far it is.
 */
export function shareOf(job: Job): number | undefined {
  if (job.state === "succeeded") return 1;
  const told = job.progress > 0 || job.processed !== null || job.steps.length > 0;
  return job.state === "running" && !told ? undefined : Math.min(job.progress, almost);
}

/** A range of times, in milliseconds. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/**
 * The range for the time left at the given moment: it shrinks with the time since
 * the last report, and is "over" once that has used it up. Undefined while
 * nothing is known that deserves trust.
 */
export function leftAt(job: Job, now: number): Range | "over" | undefined {
  const estimate = job.estimate;
  if (job.state !== "running" || job.stalled || estimate?.low_ms == null || estimate.high_ms === null) return undefined;
  const age = Math.max(now - Date.parse(job.updated_at), 0);
  if (age > 0 && age > estimate.high_ms) return "over";
  return { low: Math.max(estimate.low_ms - age, 0), high: estimate.high_ms - age };
}

/** How long such jobs took, and whether this one takes longer than 95 % of them; undefined while it is not known. */
export function usualAt(job: Job, now: number): (Range & { readonly slow: boolean }) | undefined {
  const estimate = job.estimate;
  if (job.state !== "running" || estimate?.usual_low_ms == null || estimate.usual_high_ms === null) return undefined;
  const took = job.attempt_started_at === null ? 0 : now - Date.parse(job.attempt_started_at);
  const slow = estimate.usual_slow_ms !== null && took > estimate.usual_slow_ms;
  return { low: estimate.usual_low_ms, high: estimate.usual_high_ms, slow };
}

/** In which colours a job's way is shown: it goes on, it is held up, it is or was given up, it went wrong. */
export type Tone = "accent" | "warn" | "still" | "bad";

export function toneOf(job: Job): Tone {
  switch (job.state) {
    case "failed":
      return "bad";
    case "cancelling":
    case "cancelled":
      return "still";
    case "retrying":
      return "warn";
    default:
      return job.stalled ? "warn" : "accent";
  }
}

/** How the job's state is called on the page. */
export function stateLabel(job: Job): string {
  switch (job.state) {
    case "queued":
      return "Waiting for a worker";
    case "running":
      return job.stalled ? "No word from the worker" : "Running";
    case "retrying":
      return "Waiting to try again";
    case "cancelling":
      return "Stopping";
    case "succeeded":
      return "Finished";
    case "failed":
      return "Failed";
    case "cancelled":
      return "Cancelled";
  }
}

function clamp(share: number): number {
  return Math.min(Math.max(share, 0), 1);
}
