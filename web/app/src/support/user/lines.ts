import { count, percent } from "../../format";
import { arrivedOf } from "../arrived";
import { membersOf } from "../record";
import { sentenceOf } from "../sentences";
import type { ToldRecord } from "../then/history";

/** One line of what a user was told: an event, or reports of progress of one job that fared alike. */
export interface Line {
  /** The event, or the newest of them. */
  readonly event: ToldRecord;
  readonly count: number;
  readonly text: string;
  /** The title of the job, where an event among them all says it. */
  readonly subject: string;
}

/** Events, the newest first, as lines. */
export function linesOf(events: readonly ToldRecord[]): Line[] {
  const titles = titlesOf(events);
  const lines: Line[] = [];
  for (let i = 0; i < events.length;) {
    const event = events[i];
    if (event === undefined) break;
    const n = runFrom(events, i);
    const subject = titles.get(event.job_id ?? "") ?? "";
    lines.push({
      event,
      count: n,
      subject,
      text: n === 1 ? sentenceOf(event).text : textOf(events[i + n - 1], event, n),
    });
    i += n;
  }
  return lines;
}

/** How many reports of progress, alike, follow one another from the index on; 1 for any other event. */
function runFrom(events: readonly ToldRecord[], index: number): number {
  const first = events[index];
  let n = 1;
  while (first?.type === "job.progress" && isAlike(first, events[index + n])) n++;
  return n;
}

function isAlike(one: ToldRecord, other: ToldRecord | undefined): boolean {
  if (other?.type !== "job.progress" || other.job_id !== one.job_id) return false;
  return arrivedOf(one.receipt).text === arrivedOf(other.receipt).text;
}

function textOf(oldest: ToldRecord | undefined, newest: ToldRecord, n: number): string {
  const [from, to] = [membersOf(oldest?.data)["progress"], membersOf(newest.data)["progress"]];
  const shares = typeof from === "number" && typeof to === "number" ? `, ${percent(from)} to ${percent(to)}` : "";
  return `${count(n)} progress reports${shares}`;
}

/** What jobs are called, as far as any event says it. */
function titlesOf(events: readonly ToldRecord[]): Map<string, string> {
  const titles = new Map<string, string>();
  for (const event of events) {
    const { subject } = sentenceOf(event);
    if (event.job_id !== undefined && subject !== "" && !titles.has(event.job_id)) titles.set(event.job_id, subject);
  }
  return titles;
}
