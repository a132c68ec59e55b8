import { count, percent } from "../../format";
import { type LogRecord, membersOf, textIn } from "../record";
import { type Sentence, sentenceOf } from "../sentences";

/** One attempt at a job. */
export interface Attempt {
  readonly number: number;
  readonly worker: string;
  readonly startedAt: number;
  /** Undefined while it is under way, or where the log does not say. */
  readonly endedAt: number | undefined;
  readonly outcome: "under way" | "succeeded" | "failed" | "cancelled" | "given up";
  /** What went wrong, in a line. */
  readonly error: string;
  /** What the worker's program said last, where the error has it. */
  readonly output: string;
}

/** One line of a timeline. Keys are unique, and stay when the timeline grows. */
export type Row =
  | { readonly kind: "attempt"; readonly key: number; readonly attempt: Attempt }
  | { readonly kind: "gap"; readonly key: number; readonly text: string }
  | { readonly kind: "folded"; readonly key: number; readonly fold: Fold }
  | {
      readonly kind: "event";
      readonly key: number;
      readonly event: LogRecord;
      /** Its place among all events. */
      readonly index: number;
      readonly said: Sentence;
      readonly inside: boolean;
    };

/** Reports of progress between two other events. */
export interface Fold {
  /** The seqs of the first and the last of them. */
  readonly seq: number;
  readonly lastSeq: number;
  /** The place of the first among all events. */
  readonly index: number;
  readonly time: string;
  readonly last: string;
  readonly count: number;
  readonly text: string;
  readonly open: boolean;
}

/** What of a timeline is shown. */
export interface Shown {
  readonly errorsOnly: boolean;
  /** Seqs of events that are open, and those of the first event of folded progress, below zero. */
  readonly open: ReadonlySet<number>;
}

const kinds = 4;

/** A job's events, in their order, as the lines of its timeline. */
export function rowsOf(events: readonly LogRecord[], { errorsOnly, open }: Shown): Row[] {
  const attempts = attemptsOf(events);
  const rows: Row[] = [];
  let version = 0;
  for (let i = 0; i < events.length; i++) {
    const event = events[i];
    if (event === undefined) break;
    const missing = missingBefore(event, version);
    if (missing !== "") rows.push({ kind: "gap", key: event.seq * kinds, text: missing });
    version = Math.max(version, event.job_version ?? 0);
    const attempt = attempts.get(event.seq);
    if (attempt !== undefined) rows.push({ kind: "attempt", key: event.seq * kinds + 1, attempt });
    const run = progressRun(events, i);
    if (run > 1 && !errorsOnly) {
      pushFold(rows, events, i, run, open);
      version = Math.max(version, events[i + run - 1]?.job_version ?? 0);
      i += run - 1;
      continue;
    }
    const row = eventRow(event, i, false);
    if (!errorsOnly || row.said.severity === "warning" || row.said.severity === "bad") rows.push(row);
  }
  return rows;
}

/** The place of the line that shows the event: its own, or that of the progress that it is folded into. */
export function rowOf(rows: readonly Row[], seq: number): number {
  return rows.findLastIndex(
    (row) => Math.floor(row.key / kinds) <= seq && (row.kind === "event" || row.kind === "folded"),
  );
}

function eventRow(event: LogRecord, index: number, inside: boolean): Extract<Row, { kind: "event" }> {
  return { kind: "event", key: event.seq * kinds + 3, event, index, said: sentenceOf(event), inside };
}

/** How many reports of mere progress follow one another from the index on, without any that is missing between. */
function progressRun(events: readonly LogRecord[], index: number): number {
  let n = 0;
  for (let version = events[index]?.job_version; events[index + n]?.type === "job.progress"; n++) {
    const next = events[index + n]?.job_version;
    if (n > 0 && next !== undefined && version !== undefined && next > version + 1) break;
    version = next;
  }
  return n;
}

function pushFold(
  rows: Row[],
  events: readonly LogRecord[],
  from: number,
  run: number,
  open: ReadonlySet<number>,
): void {
  const folded = events.slice(from, from + run);
  const [first] = folded;
  const last = folded.at(-1);
  if (first === undefined || last === undefined) return;
  const isOpen = open.has(-first.seq) || folded.some((e) => open.has(e.seq));
  const text = `${count(run)} progress reports${sharesOf(first, last)}`;
  const fold = {
    seq: first.seq,
    lastSeq: last.seq,
    index: from,
    time: first.time,
    last: last.time,
    count: run,
    text,
    open: isOpen,
  };
  rows.push({ kind: "folded", key: first.seq * kinds + 2, fold });
  if (isOpen) rows.push(...folded.map((event, n) => eventRow(event, from + n, true)));
}

function sharesOf(first: LogRecord, last: LogRecord): string {
  const [from, to] = [membersOf(first.data)["progress"], membersOf(last.data)["progress"]];
  return typeof from === "number" && typeof to === "number" ? `, ${percent(from)} to ${percent(to)}` : "";
}

/** What is missing in front of the event, whose job counts its versions without a gap. */
function missingBefore(event: LogRecord, version: number): string {
  const missing = (event.job_version ?? version) - version - 1;
  if (missing <= 0) return "";
  const events = missing === 1 ? "1 event is" : `${count(missing)} events are`;
  return version === 0 ? `${events} no longer kept: what came before this` : `${events} missing here`;
}

/** The attempts, each by the seq of the event that begins it. */
export function attemptsOf(events: readonly LogRecord[]): Map<number, Attempt> {
  const attempts = new Map<number, Attempt>();
  let current: { seq: number; attempt: Attempt } | undefined;
  for (const event of events) {
    const text = textIn(membersOf(event.data));
    if (event.type === "job.started") {
      const { attempt } = membersOf(event.data);
      const number = typeof attempt === "number" ? attempt : attempts.size + 1;
      const begun = { number, worker: text("worker"), startedAt: Date.parse(event.time), endedAt: undefined };
      current = { seq: event.seq, attempt: { ...begun, outcome: "under way", error: "", output: "" } };
      attempts.set(event.seq, current.attempt);
      continue;
    }
    const outcome = endsWith(event.type);
    if (outcome === undefined || current === undefined) continue;
    const [error = "", ...output] = text("error").trim().split("\n");
    const ended = {
      endedAt: Date.parse(event.time),
      outcome,
      error,
      output: output.slice(-lastLines).join("\n").trim(),
    };
    attempts.set(current.seq, { ...current.attempt, ...ended });
    current = undefined;
  }
  return attempts;
}

/** How many of the last lines of output are shown. */
const lastLines = 20;

function endsWith(type: string): Attempt["outcome"] | undefined {
  switch (type) {
    case "job.succeeded":
      return "succeeded";
    case "job.cancelled":
      return "cancelled";
    case "job.failed":
    case "job.retrying":
      return "failed";
    case "job.queued":
    case "job.deleted":
      return "given up";
    default:
      return undefined;
  }
}
