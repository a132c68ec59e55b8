import type { Job } from "@herald/client";

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

/** How long an estimate must have had to settle before it is worth showing. */
const settling = 3000;

/**
 * The time left at the given moment, counted down since the last report.
 * Undefined while there is no estimate that deserves trust: in a step's first
 * seconds, and when nothing is reported any more.
 */
export function remainingAt(job: Job, now: number): number | undefined {
  if (job.state !== "running" || job.stalled || job.remaining_ms === null) return undefined;
  const step = job.steps.find((s) => s.name === job.step);
  if (step?.started_at === undefined || now - Date.parse(step.started_at) < settling) return undefined;
  return Math.max(job.remaining_ms - Math.max(now - Date.parse(job.updated_at), 0), 0);
}

/** How the job's state is called on the page. */
export function stateLabel(job: Job): string {
  switch (job.state) {
    case "queued":
      return "Waiting for a worker";
    case "running":
      return job.stalled ? "No word from the worker" : "Running";
    case "retrying":
      return "Trying again soon";
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
