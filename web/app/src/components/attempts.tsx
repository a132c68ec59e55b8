import type { Job } from "@herald/client";
import { type ReactElement, useId, useState } from "react";
import { type Chapter, fold, type HistoryLine } from "../attempts";
import { clockTime, count, duration, instant } from "../format";
import { Button } from "./button";
import { ErrorBlock } from "./error-block";
import { DownIcon } from "./icons";
import { Elapsed } from "./ticking";

/** A job's history: its attempts, each with its worker, its end and what was said. */
export function Attempts({
  job,
  chapters,
}: {
  readonly job: Job;
  readonly chapters: readonly Chapter[];
}): ReactElement {
  return (
    <ol className="space-y-3">
      {chapters.map((chapter, i) => (
        <li key={chapterKey(chapter)}>
          {chapter.attempt === 0 ? (
            <Lines lines={chapter.lines} />
          ) : (
            <Attempt job={job} chapter={chapter} first={chapters.length - 2 <= i} />
          )}
        </li>
      ))}
    </ol>
  );
}

/** Chapters keep their first line; those of attempts have a number of their own. */
function chapterKey({ attempt, lines }: Chapter): string {
  return attempt > 0 ? `attempt ${String(attempt)}` : `from ${String(lines[0]?.seq ?? 0)}`;
}

interface AttemptProps {
  readonly job: Job;
  readonly chapter: Chapter;
  /** It is shown in full to begin with. */
  readonly first: boolean;
}

function Attempt({ job, chapter, first }: AttemptProps): ReactElement {
  const [open, setOpen] = useState(first);
  const body = useId();
  const { attempt, worker, lines } = chapter;
  // What a job has failed with stands at its head.
  const error = job.state === "failed" && job.attempt === attempt && job.error === chapter.error ? "" : chapter.error;
  return (
    <div role="group" aria-label={`Attempt ${String(attempt)}`} className="rounded-xl ring-1 ring-line">
      <h3>
        <button
          type="button"
          aria-expanded={open}
          aria-controls={body}
          onClick={() => {
            setOpen(!open);
          }}
          className="flex w-full flex-wrap items-center gap-x-3 gap-y-1 rounded-xl px-3 py-2.5 text-start text-sm hover:bg-well sm:px-4"
        >
          <span className={`size-2 shrink-0 rounded-full ${dots[chapter.outcome]}`} />
          <span className="font-medium">Attempt {attempt}</span>
          <span className={tones[chapter.outcome]}>{words[chapter.outcome]}</span>
          <span className="ms-auto flex items-center gap-2 text-faint tabular-nums">
            <Taken job={job} chapter={chapter} />
            <span className={`transition-transform ${open ? "rotate-180" : ""}`}>
              <DownIcon size={14} />
            </span>
          </span>
        </button>
      </h3>
      <div id={body} hidden={!open} className="space-y-3 border-t border-line px-3 py-3 sm:px-4">
        <p className="flex flex-wrap gap-x-4 text-sm text-soft">
          {worker !== "" && <span className="min-w-0 break-all">Worker {worker}</span>}
          {chapter.startedAt !== undefined && <span>Started {instant(new Date(chapter.startedAt).toISOString())}</span>}
        </p>
        {lines.length > 0 && <Lines lines={lines} />}
        {error !== "" && <ErrorBlock title="How it ended" text={error} />}
      </div>
    </div>
  );
}

const words: Record<Chapter["outcome"], string> = {
  "under way": "under way",
  succeeded: "succeeded",
  failed: "failed",
  cancelled: "cancelled",
  unknown: "ended",
};
const tones: Record<Chapter["outcome"], string> = {
  "under way": "text-accent",
  succeeded: "text-accent",
  failed: "text-bad",
  cancelled: "text-soft",
  unknown: "text-soft",
};
const dots: Record<Chapter["outcome"], string> = {
  "under way": "bg-accent animate-pulse-dot",
  succeeded: "bg-accent",
  failed: "bg-bad",
  cancelled: "bg-edge",
  unknown: "bg-edge",
};

function Taken({ job, chapter }: { readonly job: Job; readonly chapter: Chapter }): ReactElement | null {
  if (chapter.startedAt === undefined) return null;
  if (chapter.endedAt !== undefined) return <>{duration(chapter.endedAt - chapter.startedAt)}</>;
  const moving = job.attempt === chapter.attempt && (job.state === "running" || job.state === "cancelling");
  return moving ? <Elapsed since={chapter.startedAt} /> : null;
}

/** Lines of history, with long runs of messages folded. */
function Lines({ lines }: { readonly lines: readonly HistoryLine[] }): ReactElement {
  return (
    <ol className="text-sm">
      {fold(lines).map((piece) =>
        "line" in piece ? (
          <Line key={piece.line.seq} line={piece.line} />
        ) : (
          <Folded key={`folded ${String(piece.folded[0]?.seq)}`} lines={piece.folded} />
        ),
      )}
    </ol>
  );
}

/** How many folded messages come at once. */
const step = 100;

/** Messages that are shown when they are asked for, the last ones first. */
function Folded({ lines }: { readonly lines: readonly HistoryLine[] }): ReactElement {
  const [shown, setShown] = useState(0);
  const rest = lines.length - shown;
  return (
    <>
      {rest > 0 && (
        <li className="pb-2.5 ps-5">
          <Button
            onClick={() => {
              setShown(shown + step);
            }}
          >
            Show {rest > step ? `${count(step)} of ${count(rest)}` : count(rest)} earlier{" "}
            {rest === 1 ? "message" : "messages"}
          </Button>
        </li>
      )}
      {lines.slice(Math.max(rest, 0)).map((line) => (
        <Line key={line.seq} line={line} />
      ))}
    </>
  );
}

const lineDots = { plain: "bg-edge", good: "bg-accent", warn: "bg-warn", bad: "bg-bad" };

function Line({ line }: { readonly line: HistoryLine }): ReactElement {
  return (
    <li className="group relative flex gap-3 pb-2.5 last:pb-0">
      <span className="absolute top-4 -bottom-1 start-[3.5px] w-px bg-line group-last:hidden" />
      {line.message ? (
        <span className="relative mt-2 ms-[1.5px] h-1 w-1 shrink-0 rounded-full bg-edge" />
      ) : (
        <span className={`relative mt-1.5 size-2 shrink-0 rounded-full ${lineDots[line.tone]}`} />
      )}
      <div className={`min-w-0 flex-1 ${line.message ? "ps-[2.5px]" : ""}`}>
        <p className={`break-words whitespace-pre-wrap ${line.message ? "text-soft" : "text-ink"}`}>{line.text}</p>
        {line.note !== "" && <p className="break-words whitespace-pre-wrap text-soft">{line.note}</p>}
      </div>
      <time dateTime={line.time} title={instant(line.time)} className="text-faint tabular-nums">
        {clockTime(line.time)}
      </time>
    </li>
  );
}
