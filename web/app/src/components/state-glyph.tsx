import type { Job } from "@herald/client";
import type { ReactElement } from "react";
import { stateLabel } from "../progress";
import { AlertIcon, CheckIcon, ClockIcon, CrossIcon, DashIcon, RetryIcon } from "./icons";

/** The state at one glance; its name is there for screen readers. Nothing in it moves: a list of them would be painted with every frame. */
export function StateGlyph({ job }: { readonly job: Job }): ReactElement {
  return (
    <span className={`grid size-6 shrink-0 place-items-center rounded-full ${tone(job)}`}>
      <Sign job={job} />
      <span className="sr-only">{stateLabel(job)}</span>
    </span>
  );
}

function tone(job: Job): string {
  switch (job.state) {
    case "succeeded":
      return "bg-tint text-accent";
    case "failed":
      return "bg-bad-tint text-bad";
    case "retrying":
      return "bg-warn-tint text-warn";
    case "running":
      return job.stalled ? "bg-warn-tint text-warn" : "bg-tint text-accent";
    case "queued":
    case "cancelling":
    case "cancelled":
      return "bg-well text-soft";
  }
}

function Sign({ job }: { readonly job: Job }): ReactElement {
  switch (job.state) {
    case "succeeded":
      return <CheckIcon size={14} />;
    case "failed":
      return <CrossIcon size={14} />;
    case "cancelled":
      return <DashIcon size={14} />;
    case "retrying":
      return <RetryIcon size={14} />;
    case "queued":
      return <ClockIcon size={20} />;
    case "cancelling":
      return <span className="size-2 rounded-[2px] bg-current" />;
    case "running":
      return job.stalled ? <AlertIcon size={14} /> : <span className="size-2 rounded-full bg-current" />;
  }
}
