import type { Job } from "@herald/client";
import type { ReactElement } from "react";
import { duration, sentence } from "../format";
import { type Part, partsOf } from "../progress";
import { Elapsed } from "./ticking";

/** The job's plan, a segment for each step with the time it took. */
export function StepLine({ job }: { readonly job: Job }): ReactElement | null {
  const parts = partsOf(job);
  if (parts.length === 0) return null;
  return (
    <ol aria-label="Steps" className="grid auto-cols-fr grid-flow-col gap-1.5 text-xs">
      {parts.map((part) => (
        <li key={part.name} aria-current={part.state === "under way" ? "step" : undefined} className="min-w-0">
          <Segment part={part} ended={job.state === "failed" || job.state === "cancelled"} />
          <div className={`mt-1.5 truncate ${part.state === "waiting" ? "text-faint" : "text-ink"}`}>
            {sentence(part.name)}
          </div>
          <div className="h-4.5 truncate text-faint tabular-nums">
            <Taken part={part} />
          </div>
        </li>
      ))}
    </ol>
  );
}

function Segment({ part, ended }: { readonly part: Part; readonly ended: boolean }): ReactElement {
  const tone = part.state === "stopped" ? (ended ? "bg-bad" : "bg-warn-fill") : "bg-accent";
  return (
    <div className="h-1 overflow-hidden rounded-full bg-well">
      <div
        className={`h-full transition-transform duration-300 ease-linear ${part.share > 0 ? tone : "invisible"}`}
        style={{ transform: `translateX(${String((part.share - 1) * 100)}%)` }}
      />
    </div>
  );
}

function Taken({ part }: { readonly part: Part }): ReactElement | null {
  if (part.tookMs !== undefined) return <>{duration(part.tookMs)}</>;
  if (part.state === "under way" && part.startedAt !== undefined) return <Elapsed since={part.startedAt} />;
  return part.state === "stopped" ? <>stopped</> : null;
}
