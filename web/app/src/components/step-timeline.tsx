import type { Job } from "@herald/client";
import type { CSSProperties, ReactElement } from "react";
import { duration, sentence } from "../format";
import { type Part, partsOf, toldParts, type Tone, toneOf } from "../progress";
import type { LoggedEvent } from "../timeline";
import { fills } from "./bar";
import { CheckIcon, CrossIcon } from "./icons";
import { useStepTitle } from "./presets";
import { Elapsed } from "./ticking";

/** More steps than that stand below each other on every screen. */
const mostInARow = 5;

interface StepTimelineProps {
  readonly job: Job;
  /** The job's log, which tells the steps of a job without a plan. */
  readonly events: readonly LoggedEvent[];
}

/** The job's steps as stations on a line; each stretch of it tells how long the step took. */
export function StepTimeline({ job, events }: StepTimelineProps): ReactElement | null {
  const planned = partsOf(job);
  const parts = planned.length > 0 ? planned : toldParts(job, events);
  const title = useStepTitle(job.kind);
  if (parts.length === 0) return null;
  const flat = parts.length <= mostInARow;
  return (
    <ol aria-label="Steps" className={`text-sm ${flat ? "sm:flex sm:pt-5" : ""}`}>
      {parts.map((part, i) => (
        <Station key={`${String(i)} ${part.name}`} part={part} flat={flat} tone={toneOf(job)}>
          {title(part.name) ?? sentence(part.name)}
        </Station>
      ))}
      {planned.length > 0 && <End reached={job.state === "succeeded"} flat={flat} />}
    </ol>
  );
}

interface StationProps {
  readonly part: Part;
  /** The stations stand side by side where there is room. */
  readonly flat: boolean;
  /** The colours of the step that the job is at. */
  readonly tone: Tone;
  readonly children: string;
}

function Station({ part, flat, tone, children }: StationProps): ReactElement {
  const fill = fills[part.state === "done" ? "accent" : tone];
  const share = { "--share": part.share } as CSSProperties;
  return (
    <li
      aria-current={part.state === "under way" ? "step" : undefined}
      className={`relative flex gap-3 ${flat ? "sm:block sm:min-w-0 sm:flex-1" : ""}`}
    >
      <div className={`flex flex-col items-center ${flat ? "sm:flex-row" : ""}`}>
        <Mark part={part} tone={tone} />
        <span className={`relative min-h-3 w-0.5 flex-1 bg-line ${flat ? "sm:h-0.5 sm:min-h-0 sm:w-auto" : ""}`}>
          <span
            style={share}
            className={`absolute inset-0 origin-top-left scale-y-(--share) transition-transform duration-300 ease-linear ${fill} ${flat ? "sm:scale-x-(--share) sm:scale-y-100" : ""}`}
          />
        </span>
      </div>
      <div
        className={`flex min-w-0 flex-1 justify-between gap-3 pb-3 leading-5 ${flat ? "sm:block sm:pe-3 sm:pb-0 sm:pt-1.5" : ""}`}
      >
        <p className={`min-w-0 break-words ${part.state === "waiting" ? "text-faint" : "text-ink"}`}>{children}</p>
        <p
          className={`whitespace-nowrap tabular-nums ${part.state === "under way" ? "text-ink" : "text-faint"} ${flat ? "sm:absolute sm:-top-5 sm:end-2 sm:start-6 sm:text-center sm:text-xs sm:leading-6" : ""}`}
        >
          <Taken part={part} />
        </p>
      </div>
    </li>
  );
}

function Taken({ part }: { readonly part: Part }): ReactElement | null {
  if (part.tookMs !== undefined) return <>{duration(part.tookMs)}</>;
  if (part.state === "under way" && part.startedAt !== undefined) return <Elapsed since={part.startedAt} />;
  return part.state === "stopped" ? <>stopped</> : null;
}

const mark = "grid size-5 shrink-0 place-items-center rounded-full";
const tints: Record<Tone, string> = {
  accent: "bg-tint text-accent ring-accent",
  warn: "bg-warn-tint text-warn ring-warn-fill",
  still: "bg-well text-soft ring-edge",
  bad: "bg-bad-tint text-bad ring-bad",
};

function Mark({ part, tone }: { readonly part: Part; readonly tone: Tone }): ReactElement {
  switch (part.state) {
    case "done":
      return (
        <span className={`${mark} bg-accent text-on-accent`}>
          <CheckIcon size={12} />
          <span className="sr-only">done</span>
        </span>
      );
    case "stopped":
      return (
        <span className={`${mark} ${tints[tone]}`}>
          <CrossIcon size={12} />
        </span>
      );
    case "under way":
      return (
        <span className={`${mark} ring-2 ring-inset ${tints[tone]}`}>
          <span className={`size-2 animate-pulse-dot rounded-full ${fills[tone]}`} />
        </span>
      );
    case "waiting":
      return <span className={`${mark} ring-2 ring-line ring-inset`} />;
  }
}

function End({ reached, flat }: { readonly reached: boolean; readonly flat: boolean }): ReactElement {
  return (
    <li
      className={`flex gap-3 leading-5 ${reached ? "text-ink" : "text-faint"} ${flat ? "sm:flex-col sm:items-end sm:gap-0" : ""}`}
    >
      <div className={flat ? "sm:flex sm:w-full sm:items-center" : ""}>
        {flat && <span className={`hidden h-0.5 flex-1 sm:block ${reached ? "bg-accent" : "bg-line"}`} />}
        {reached ? (
          <span className={`${mark} bg-accent text-on-accent`}>
            <CheckIcon size={12} />
          </span>
        ) : (
          <span className={`${mark} ring-2 ring-line ring-inset`} />
        )}
      </div>
      <p className={flat ? "sm:pt-1.5" : ""}>Done</p>
    </li>
  );
}
