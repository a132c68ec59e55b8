import { entryOf, type LoggedEvent, type TimelineEntry } from "./timeline";

/** One line of a job's history, at its place in an attempt or outside of all. */
export interface HistoryLine extends TimelineEntry {
  /** The worker said it; all else happened. */
  readonly message: boolean;
}

/** What a job went through in one attempt, or between two. */
export interface Chapter {
  /** The attempt; 0 for what belongs to none. */
  readonly attempt: number;
  readonly worker: string;
  readonly startedAt: number | undefined;
  /** Undefined while it is under way, and when it is not known. */
  readonly endedAt: number | undefined;
  readonly outcome: "under way" | "succeeded" | "failed" | "cancelled" | "unknown";
  readonly error: string;
  readonly lines: readonly HistoryLine[];
}

/** An attempt being told. */
interface Open {
  attempt: number;
  worker: string;
  startedAt: number | undefined;
  endedAt: number | undefined;
  outcome: Chapter["outcome"];
  error: string;
  lines: HistoryLine[];
  /** The last message, which later events carry on. */
  message: string;
}

const ends: Partial<Record<string, Chapter["outcome"]>> = {
  "job.retrying": "failed",
  "job.failed": "failed",
  "job.succeeded": "succeeded",
  "job.cancelled": "cancelled",
};

/** Events that are part of the attempt that they name. */
const within = new Set(["job.started", "job.step", "job.message", "job.stalled", "job.resumed", "job.cancelling"]);

/** A job's log as its attempts, with what happened around them. */
export function chaptersOf(events: readonly LoggedEvent[], stepTitle?: (step: string) => string): Chapter[] {
  const chapters: Open[] = [];
  let current: Open | undefined;
  for (const event of events) {
    const data = fieldsOf(event.data);
    const attempt = typeof data["attempt"] === "number" ? data["attempt"] : 0;
    const outcome = ends[event.type];
    if (event.type === "job.started" || (current?.attempt !== attempt && within.has(event.type) && attempt > 0)) {
      if (current !== undefined) current.outcome = "unknown"; // its end is not told
      current = begun(attempt, event, data);
      chapters.push(current);
    }
    const own = current?.attempt === attempt && (within.has(event.type) || outcome !== undefined) ? current : undefined;
    addLine(own ?? between(chapters), event, data, stepTitle);
    if (outcome === undefined || own === undefined) continue;
    own.outcome = outcome;
    own.endedAt = Date.parse(event.time);
    own.error = textOf(data["error"]);
    current = undefined;
  }
  return chapters;
}

function begun(attempt: number, event: LoggedEvent, data: Record<string, unknown>): Open {
  const start = event.type === "job.started" ? event.time : textOf(data["attempt_started_at"]);
  return { ...empty(attempt), worker: textOf(data["worker"]), startedAt: start === "" ? undefined : Date.parse(start) };
}

function empty(attempt: number): Open {
  const outcome = attempt > 0 ? "under way" : "unknown";
  return { attempt, worker: "", startedAt: undefined, endedAt: undefined, outcome, error: "", lines: [], message: "" };
}

/** The chapter for what belongs to no attempt. */
function between(chapters: Open[]): Open {
  const last = chapters.at(-1);
  if (last?.attempt === 0) return last;
  const chapter = empty(0);
  chapters.push(chapter);
  return chapter;
}

/** Adds what the event says, unless the attempt's own head says it. */
function addLine(
  to: Open,
  event: LoggedEvent,
  data: Record<string, unknown>,
  stepTitle: ((step: string) => string) | undefined,
): void {
  const said = textOf(data["message"]);
  const news = event.type !== "job.message" && said !== "" && said !== to.message && to.attempt > 0;
  to.message = said;
  const inHead = to.attempt > 0 && (event.type === "job.started" || ends[event.type] !== undefined);
  if (!inHead) to.lines.push({ ...entryOf(event, stepTitle), message: event.type === "job.message" });
  // Between the event and the next one, so that each line has a place of its own.
  if (news) to.lines.push({ ...entryOf({ ...event, seq: event.seq + 0.5, type: "job.message" }), message: true });
}

/** A piece of an attempt's history: a line, or messages that are folded. */
export type Piece = { readonly line: HistoryLine } | { readonly folded: readonly HistoryLine[] };

/** How many messages in a row are shown as they are, and how many of more than that. */
const few = 6;
const shown = 4;

/** The lines with long runs of messages folded, but for the last of each run. */
export function fold(lines: readonly HistoryLine[]): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < lines.length;) {
    let end = at;
    while (lines[end]?.message === true) end++;
    const run = end - at;
    if (run > few) {
      pieces.push({ folded: lines.slice(at, end - shown) });
      at = end - shown;
    }
    const upto = Math.max(end, at + 1);
    for (; at < upto; at++) {
      const line = lines[at];
      if (line !== undefined) pieces.push({ line });
    }
  }
  return pieces;
}

/** When each attempt began, as far as the log tells; of the job's own attempt the job itself does. */
export function startsOf(attempt: number, began: string | null, chapters: readonly Chapter[]): Map<number, number> {
  const starts = new Map<number, number>();
  for (const c of chapters) if (c.attempt > 0 && c.startedAt !== undefined) starts.set(c.attempt, c.startedAt);
  if (began !== null) starts.set(attempt, Date.parse(began));
  return starts;
}

function fieldsOf(data: unknown): Record<string, unknown> {
  return typeof data === "object" && data !== null ? (data as Record<string, unknown>) : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
