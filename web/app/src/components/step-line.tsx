import type { Job } from "@herald/client";
import type { ReactElement } from "react";
import { duration, sentence } from "../format";
import { type Part, partsOf, type Tone, toneOf } from "../progress";
import { Fill, fills } from "./bar";
import { useStepTitle } from "./presets";
import { Elapsed } from "./ticking";

/** The job's plan, a segment for each step with the time it took. */
export function StepLine({ job }: { readonly job: Job }): ReactElement | null {
  const parts = partsOf(job);
  const title = useStepTitle(job.kind);
  if (parts.length === 0) return null;
  const named = parts.length <= mostNamed;
  return (
    <div className="text-xs">
      <ol aria-label="Steps" className={`grid auto-cols-fr grid-flow-col ${named ? "gap-1.5" : "gap-0.5"}`}>
        {parts.map((part) => (
          <li key={part.name} aria-current={part.state === "under way" ? "step" : undefined} className="min-w-0">
            <Segment part={part} tone={toneOf(job)} />
            <div className={named ? "" : "sr-only"}>
              <div
                className={`mt-1.5 line-clamp-2 break-words ${part.state === "waiting" ? "text-faint" : "text-ink"}`}
              >
                {title(part.name) ?? sentence(part.name)}
              </div>
              <div className="h-4.5 truncate text-faint tabular-nums">
                <Taken part={part} />
              </div>
            </div>
          </li>
        ))}
      </ol>
      {!named && <Present parts={parts} />}
    </div>
  );
}

/** More steps than that leave no room for their names. */
const mostNamed = 6;

/** Of many steps, the name of the one that the job is at. */
function Present({ parts }: { readonly parts: readonly Part[] }): ReactElement | null {
  const at = parts.findIndex((p) => p.state === "under way" || p.state === "stopped");
  const part = parts[at];
  if (part === undefined) return null;
  return (
    <p aria-hidden="true" className="mt-1.5 flex gap-2">
      <span className="truncate">
        Step {at + 1} of {parts.length}: {sentence(part.name)}
      </span>
      <span className="text-faint tabular-nums">
        <Taken part={part} />
      </span>
    </p>
  );
}

function Segment({ part, tone }: { readonly part: Part; readonly tone: Tone }): ReactElement {
  const fill = fills[part.state === "done" ? "accent" : tone];
  return (
    <div className="h-1 overflow-hidden rounded-full bg-well rtl:-scale-x-100">
      <Fill share={part.share} className={part.share > 0 ? fill : "invisible"} />
    </div>
  );
}

function Taken({ part }: { readonly part: Part }): ReactElement | null {
  if (part.tookMs !== undefined) return <>{duration(part.tookMs)}</>;
  if (part.state === "under way" && part.startedAt !== undefined) return <Elapsed since={part.startedAt} />;
  return part.state === "stopped" ? <>stopped</> : null;
}
