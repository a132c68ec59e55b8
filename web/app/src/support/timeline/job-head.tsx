import type { Job } from "@herald/client";
import { type ReactElement, type ReactNode, useMemo } from "react";
import { linkLook } from "../../components/button";
import { Link } from "../../components/link";
import { duration, instant } from "../../format";
import { stateLabel } from "../../progress";
import { thenPlace, userPlace } from "../place";
import type { LogRecord } from "../record";
import { carriesAll, jobAfter } from "./fold";

/** The job as the last of its events leave it; undefined where none has all of it. */
export function lastJob(events: readonly LogRecord[]): Job | undefined {
  const from = events.findLastIndex(carriesAll);
  return from < 0 ? undefined : events.slice(from).filter(isNoEnd).reduce<Job | undefined>(jobAfter, undefined);
}

function isNoEnd(event: LogRecord): boolean {
  return event.type !== "job.deleted";
}

interface JobHeadProps {
  readonly id: string;
  readonly events: readonly LogRecord[];
  readonly children: ReactNode;
}

/** Which job it is, how it stands, and whose. */
export function JobHead({ id, events, children }: JobHeadProps): ReactElement {
  const job = useMemo(() => lastJob(events), [events]);
  const last = events.at(-1);
  return (
    <header className="flex flex-wrap items-start gap-x-4 gap-y-3">
      <div className="min-w-0 flex-1 basis-72">
        <h1 className="text-lg leading-7 font-semibold break-words">{job?.title ?? `Job ${id.slice(-8)}`}</h1>
        <p className="text-sm text-soft tabular-nums">
          {job !== undefined && (
            <>
              <span className={lookOf(job)}>{last?.type === "job.deleted" ? "Deleted" : stateLabel(job)}</span>
              {" · "}
              {job.kind}, owned by{" "}
              <Link to={userPlace(job.owner)} className="text-accent underline underline-offset-2">
                {job.owner}
              </Link>
              {" · "}
              <time dateTime={job.created_at} title={instant(job.created_at)}>
                {instant(job.created_at)}
              </time>
              {job.finished_at !== null &&
                ` · ${duration(Date.parse(job.finished_at) - Date.parse(job.created_at))} in all`}
            </>
          )}
        </p>
        <p className="font-mono text-xs break-all text-faint">{id}</p>
      </div>
      <div className="flex flex-wrap items-center gap-2">
        {job !== undefined && last !== undefined && (
          <Link to={thenPlace(job.owner, last.seq)} className={linkLook}>
            As {job.owner} saw it
          </Link>
        )}
        {children}
      </div>
    </header>
  );
}

function lookOf(job: Job): string {
  if (job.state === "failed") return "font-medium text-bad";
  if (job.state === "succeeded") return "font-medium text-accent";
  return job.state === "retrying" || job.stalled ? "font-medium text-warn" : "font-medium text-ink";
}
