import { type Job, mergeJob, type Moving } from "@herald/client";
import { type LogRecord, membersOf } from "../record";

/** The events that carry the part of a job that moves; all others of a job's life carry all of it. */
const moving: readonly string[] = ["job.progress", "job.message"];
const whole: readonly string[] = [
  "job.queued",
  "job.started",
  "job.step",
  "job.retrying",
  "job.stalled",
  "job.resumed",
  "job.cancelling",
  "job.cancelled",
  "job.succeeded",
  "job.failed",
  "job.artifacts_expired",
];

type Event = Pick<LogRecord, "type" | "data">;

/** Whether the event says how a job stands. */
export function tellsOfJob(event: Event): boolean {
  return carriesAll(event) || moving.includes(event.type);
}

/** Whether the event carries all of its job. */
export function carriesAll(event: Event): boolean {
  return whole.includes(event.type);
}

/** The job after an event: the same where that tells nothing newer of it, undefined where it is not known or gone. */
export function jobAfter(job: Job | undefined, event: Event): Job | undefined {
  if (event.type === "job.deleted") return undefined;
  const { id, version } = membersOf(event.data);
  if (!tellsOfJob(event) || typeof id !== "string" || typeof version !== "number") return job;
  if (job !== undefined && (job.id !== id || version <= job.version)) return job;
  if (carriesAll(event)) return event.data as Job;
  return job === undefined ? undefined : mergeJob(job, event.data as Moving);
}

/** The job as it stood before the event at the index, among events of one job in their order. */
export function jobBefore(events: readonly Event[], index: number): Job | undefined {
  const from = events.findLastIndex((e, i) => i < index && carriesAll(e));
  return from < 0 ? undefined : events.slice(from, index).reduce<Job | undefined>(jobAfter, undefined);
}
