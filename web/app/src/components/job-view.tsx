import type { Job } from "@herald/client";
import type { ReactElement, ReactNode } from "react";
import { exportResult } from "../export";
import { bytes, count, percent } from "../format";
import { shareOf, toneOf } from "../progress";
import { hasEnded } from "../store";
import { type VideoResult, videoResult } from "../video";
import { Bar } from "./bar";
import { linkLook } from "./button";
import { ErrorBlock } from "./error-block";
import { DownloadIcon } from "./icons";
import { JobActions } from "./job-actions";
import { JobFacts } from "./job-facts";
import { JobMeta } from "./job-meta";
import { Download, mediaOf, Result, ResultPoster } from "./result";
import { StateGlyph } from "./state-glyph";
import { StepLine } from "./step-line";

interface JobViewProps {
  readonly job: Job;
  readonly heading: ReactNode;
  /** Whether the result is shown in full. */
  readonly open: boolean;
  readonly onOpen: (open: boolean) => void;
  /** On a page of its own there is room for all that can be done with it, and for its steps at length. */
  readonly full?: boolean;
  readonly steps?: ReactNode;
}

/** A job at one glance: its state, how far it is, how long still, what went wrong, what it made. */
export function JobView({ job, heading, open, onOpen, full = false, steps }: JobViewProps): ReactElement {
  const result = job.artifacts_expired_at === undefined ? videoResult(job) : undefined;
  const part = { job, heading, full, steps: steps ?? <StepLine job={job} /> };
  return (
    <article
      aria-label={job.title}
      data-state={job.state}
      data-attempt={job.attempt}
      className="space-y-4 rounded-2xl bg-card p-4 ring-1 ring-line sm:p-5"
    >
      {!hasEnded(job) && <Active {...part} />}
      {hasEnded(job) && result !== undefined && <Succeeded {...part} result={result} open={open} onOpen={onOpen} />}
      {hasEnded(job) && result === undefined && <Ended {...part} />}
    </article>
  );
}

interface HeadProps {
  readonly job: Job;
  readonly heading: ReactNode;
  readonly children?: ReactNode;
}

interface PartProps extends HeadProps {
  readonly full: boolean;
  readonly steps: ReactNode;
}

function Head({ job, heading, children }: HeadProps): ReactElement {
  return (
    <header className="flex flex-wrap items-start gap-x-3 gap-y-3">
      <StateGlyph job={job} />
      <div className="min-w-0 flex-1 basis-40">
        {heading}
        <JobMeta job={job} />
      </div>
      {children}
    </header>
  );
}

function Active({ job, heading, full, steps }: PartProps): ReactElement {
  const queued = job.state === "queued";
  // What waits has not begun: nothing moves.
  const share = queued ? 0 : shareOf(job);
  return (
    <>
      <Head job={job} heading={heading}>
        {queued ? (
          <JobActions job={job} full={full} />
        ) : (
          share !== undefined && (
            <p className="text-[1.75rem] leading-8 font-semibold tracking-tight tabular-nums">{percent(share)}</p>
          )
        )}
      </Head>
      <Bar share={share} label={`Progress of ${job.title}`} tone={toneOf(job)} run={job.attempt} />
      {steps}
      {job.state === "retrying" && job.error !== "" && !full && (
        <ErrorBlock title={`Attempt ${String(job.attempt)} of ${String(job.max_attempts)} failed`} text={job.error} />
      )}
      {!queued && (
        <footer className="flex flex-wrap items-center gap-x-4 gap-y-2">
          <JobFacts job={job} />
          <JobActions job={job} full={full} />
        </footer>
      )}
    </>
  );
}

function Ended({ job, heading, full, steps }: PartProps): ReactElement {
  return (
    <>
      <Head job={job} heading={heading}>
        <div className="ms-auto flex flex-wrap items-center justify-end gap-2">
          {!full && <ExportLink job={job} />}
          <JobActions job={job} full={full} />
        </div>
      </Head>
      {(job.state === "failed" || full) && steps}
      {job.state === "failed" && job.error !== "" && <ErrorBlock title="What went wrong" text={job.error} />}
      {job.artifacts_expired_at !== undefined && <p className="text-sm text-soft">Its files are no longer kept.</p>}
    </>
  );
}

/** The file of an export, where there is no room to show what is in it. */
function ExportLink({ job }: { readonly job: Job }): ReactElement | null {
  const result = job.artifacts_expired_at === undefined ? exportResult(job) : undefined;
  if (result === undefined) return null;
  return (
    <a href={result.artifact.url} download={result.artifact.name} className={linkLook}>
      <DownloadIcon size={14} />
      {count(result.rows)} {result.rows === 1 ? "row" : "rows"}
      <span className="font-normal text-soft tabular-nums">{bytes(result.size)}</span>
    </a>
  );
}

interface SucceededProps extends PartProps {
  readonly result: VideoResult;
  readonly open: boolean;
  readonly onOpen: (open: boolean) => void;
}

function Succeeded({ job, heading, full, steps, result, open, onOpen }: SucceededProps): ReactElement {
  const media = mediaOf(result);
  const inFull = open || media?.kind === "audio";
  return (
    <div className="flex flex-col gap-4 sm:flex-row">
      {!inFull && media !== undefined && (
        <ResultPoster
          job={job}
          result={result}
          onPlay={() => {
            onOpen(true);
          }}
        />
      )}
      <div className="flex min-w-0 flex-1 flex-col justify-between gap-4">
        <Head job={job} heading={heading} />
        {inFull && media !== undefined && <Result job={job} result={result} media={media} />}
        {full && steps}
        {result.notes !== "" && <p className="text-sm text-soft">{result.notes}</p>}
        <div className="flex flex-wrap items-center justify-end gap-2">
          {media !== undefined && <Download artifact={media} />}
          <JobActions job={job} full={full} />
        </div>
      </div>
    </div>
  );
}
