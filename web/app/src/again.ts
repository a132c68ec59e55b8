import type { Job, JobKind } from "@herald/client";
import { fieldsOf } from "./export";

/** The upload that a job is made from; undefined when it is made from none. */
export function sourceUpload(job: Job): string | undefined {
  const upload = fieldsOf(fieldsOf(job.args)["source"])["upload"];
  return typeof upload === "string" ? upload : undefined;
}

/** Whether an upload is no longer kept. */
export async function isGone(upload: string): Promise<boolean> {
  const { status } = await fetch(`/api/artifacts/${encodeURIComponent(upload)}`, { method: "HEAD" });
  return status === 404 || status === 410;
}

/** What is known of whether a job can be run again. */
export interface Means {
  /** The reader may change the job. */
  readonly mayChange: boolean;
  /** What Herald's own workers do; undefined while that is not known. */
  readonly kinds: readonly JobKind[] | undefined;
  /** The file that it was made from is no longer kept. */
  readonly sourceGone: boolean;
}

/** Why a failed or cancelled job cannot be tried again; undefined when it can. */
export function whyNotRetry({ mayChange, sourceGone }: Means): string | undefined {
  if (!mayChange) return "Only its owner can retry it.";
  return sourceGone ? "The file that it was made from is no longer kept." : undefined;
}

/** Why a job like this one cannot be started; undefined when it can. */
export function whyNotAgain(job: Job, { mayChange, kinds, sourceGone }: Means): string | undefined {
  if (!mayChange) return "Only its owner can run it again.";
  if (job.external) return "It runs elsewhere: the program that started it can start another one.";
  if (kinds === undefined) return "Asking what can be run.";
  if (!kinds.some((k) => k.name === job.kind))
    return "It comes from another queue: the program that filled that can run it again.";
  return sourceGone ? "The file that it was made from is no longer kept." : undefined;
}
