import type { Job } from "@herald/client";
import type { ReactElement, ReactNode } from "react";
import { percent } from "../format";
import { hasEnded } from "../store";
import { type VideoResult, videoResult } from "../video";
import { Bar } from "./bar";
import { ErrorBlock } from "./error-block";
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
}

/** A job at one glance: its state, how far it is, how long still, what went wrong, what it made. */
export function JobView({ job, heading, open, onOpen }: JobViewProps): ReactElement {
  const result = videoResult(job);
  return (
    <article
      aria-label={job.title}
      data-state={job.state}
      className="space-y-4 rounded-2xl bg-card p-4 ring-1 ring-line sm:p-5"
    >
      {!hasEnded(job) && <Active job={job} heading={heading} />}
      {hasEnded(job) && result !== undefined && (
        <Succeeded job={job} heading={heading} result={result} open={open} onOpen={onOpen} />
      )}
      {hasEnded(job) && result === undefined && <Ended job={job} heading={heading} />}
    </article>
  );
}

interface PartProps {
  readonly job: Job;
  readonly heading: ReactNode;
}

function Head({ job, heading, children }: PartProps & { readonly children?: ReactNode }): ReactElement {
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

function Active({ job, heading }: PartProps): ReactElement {
  const queued = job.state === "queued";
  return (
    <>
      <Head job={job} heading={heading}>
        {queued ? (
          <JobActions job={job} />
        ) : (
          <p className="text-[1.75rem] leading-8 font-semibold tracking-tight tabular-nums">{percent(job.progress)}</p>
        )}
      </Head>
      <Bar
        share={queued ? undefined : job.progress}
        label={`Progress of ${job.title}`}
        tone={barTone(job)}
        run={job.attempt}
      />
      <StepLine job={job} />
      {job.state === "retrying" && (
        <ErrorBlock title={`Attempt ${String(job.attempt)} of ${String(job.max_attempts)} failed`} text={job.error} />
      )}
      {!queued && (
        <footer className="flex flex-wrap items-center gap-x-4 gap-y-2">
          <JobFacts job={job} />
          <JobActions job={job} />
        </footer>
      )}
    </>
  );
}

function Ended({ job, heading }: PartProps): ReactElement {
  return (
    <>
      <Head job={job} heading={heading}>
        <JobActions job={job} />
      </Head>
      {job.state === "failed" && <StepLine job={job} />}
      {job.state === "failed" && <ErrorBlock title="What went wrong" text={job.error} />}
    </>
  );
}

function Succeeded(props: JobViewProps & { readonly result: VideoResult }): ReactElement {
  const { job, heading, result, open, onOpen } = props;
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
        {result.notes !== "" && <p className="text-sm text-soft">{result.notes}</p>}
        <div className="flex flex-wrap items-center justify-end gap-2">
          {media !== undefined && <Download artifact={media} />}
          <JobActions job={job} />
        </div>
      </div>
    </div>
  );
}

function barTone(job: Job): "accent" | "warn" | "still" {
  if (job.state === "cancelling") return "still";
  return job.state === "retrying" || job.stalled ? "warn" : "accent";
}
