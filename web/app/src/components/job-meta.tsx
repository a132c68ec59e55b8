import type { Job } from "@herald/client";
import type { ReactElement } from "react";
import { exportKind } from "../export";
import { duration } from "../format";
import { stateLabel } from "../progress";
import { presetOf, videoResult } from "../video";
import { Dot } from "./job-facts";
import { usePresetTitle } from "./presets";
import { Ago, Elapsed } from "./ticking";

/** What the job is, and for how long it has been as it is. */
export function JobMeta({ job }: { readonly job: Job }): ReactElement {
  const title = usePresetTitle(presetOf(job));
  const preset = job.kind === "export" ? exportKind(job) : title;
  const result = videoResult(job);
  return (
    <p className="text-sm text-soft tabular-nums">
      {preset !== "" && (
        <>
          {preset}
          <Dot />
        </>
      )}
      {result !== undefined && result.width > 0 && (
        <>
          {result.width} × {result.height}
          <Dot />
        </>
      )}
      <Since job={job} />
      {job.attempt > 1 && job.state !== "retrying" && (
        <span className="whitespace-nowrap">
          <Dot />
          attempt {job.attempt} of {job.max_attempts}
        </span>
      )}
    </p>
  );
}

function Since({ job }: { readonly job: Job }): ReactElement {
  if (job.state === "queued") {
    return (
      <>
        {stateLabel(job)}, <Elapsed since={Date.parse(job.created_at)} />
      </>
    );
  }
  if (job.state === "cancelling" && job.cancel_asked_at !== null) {
    return (
      <>
        {stateLabel(job)}, cancel requested <Elapsed since={Date.parse(job.cancel_asked_at)} /> ago
      </>
    );
  }
  if (job.finished_at === null) {
    if (job.state !== "running" || job.started_at === null) return <>{stateLabel(job)}</>;
    return (
      <>
        Running for <Elapsed since={Date.parse(job.started_at)} />
      </>
    );
  }
  return (
    <>
      {stateLabel(job)} <Ago iso={job.finished_at} />
      {job.state === "succeeded" && job.started_at !== null && (
        <>, took {duration(Date.parse(job.finished_at) - Date.parse(job.started_at))}</>
      )}
    </>
  );
}
