import type { Job } from "@herald/client";
import type { Connection, Recipient } from "../api";
import type { LogRecord } from "../record";
import { jobAfter } from "../timeline/fold";

/** An event that a user was to get, with what became of it for them. */
export interface ToldRecord extends LogRecord {
  readonly receipt: Recipient;
}

/** A time from when on, until when; in milliseconds since 1970. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** All that is known of a stretch of a user's past. */
export interface History {
  readonly period: Stretch;
  /** What there was to be told, in the order of the log. */
  readonly events: readonly ToldRecord[];
  /** The streams of their pages: what was open in the period, and the last ones before it. */
  readonly pages: readonly Connection[];
  /** The jobs as they stood when the period began, and as a page showed them then. */
  readonly before: { readonly truth: readonly Job[]; readonly shown: readonly Job[]; readonly trueSeq: number };
  /** Not all of it could be read: there is too much, or it is no longer kept. */
  readonly partial: boolean;
}

/** The streams that are a page of the user's: they follow the user, and hold nothing back. */
export function pagesOf(connections: readonly Connection[], user: string): Connection[] {
  return connections.filter((c) => c.topics.includes(`user:${user}`) && c.filter === null);
}

/**
 * Up to which event of the log a page of the user's had come at a moment; 0 when none had been open. An open
 * stream has an event when that is recorded, since it is written at once; one that was opened has what there was.
 * Nothing counts that was not written, as far as the stream's own row says. What was recorded before the events
 * that are given reaches up to `known`.
 */
export function shownSeq(
  pages: readonly Connection[],
  events: readonly LogRecord[],
  at: number,
  known: number,
): number {
  let seq = 0;
  for (const page of pages) {
    if (Date.parse(page.opened_at) > at) continue;
    const until = Math.min(at, endOf(page));
    const last = events.findLast((e) => e.seq <= page.written_seq && Date.parse(e.recorded_at) <= until)?.seq ?? 0;
    const fresh = page.opened_seq >= page.opened_head;
    const begun = fresh ? page.opened_head : Math.min(page.opened_head, page.written_seq);
    seq = Math.max(seq, last, begun, Math.min(page.written_seq, known));
  }
  return seq;
}

function endOf(page: Connection): number {
  return page.closed_at === null ? Infinity : Date.parse(page.closed_at);
}

/** When a page of the user's was open: stretches that do not touch, in their order. */
export function onlineOf(pages: readonly Connection[]): Stretch[] {
  const all = pages.map((p) => ({ from: Date.parse(p.opened_at), to: endOf(p) })).sort((a, b) => a.from - b.from);
  const merged: Stretch[] = [];
  for (const each of all) {
    const last = merged.at(-1);
    if (last !== undefined && each.from <= last.to)
      merged[merged.length - 1] = { ...last, to: Math.max(last.to, each.to) };
    else merged.push(each);
  }
  return merged;
}

/** Since when and until when nobody was there at the moment; undefined when a page was open. Its ends may be infinite. */
export function offlineAt(online: readonly Stretch[], at: number): Stretch | undefined {
  if (online.some((s) => s.from <= at && at < s.to)) return undefined;
  return {
    from: online.findLast((s) => s.to <= at)?.to ?? -Infinity,
    to: online.find((s) => s.from > at)?.from ?? Infinity,
  };
}

/** The jobs after the events up to a seq. */
export function jobsAt(before: readonly Job[], events: readonly LogRecord[], seq: number): Job[] {
  const jobs = new Map(before.map((job) => [job.id, job]));
  for (const event of events) {
    if (event.seq > seq) break;
    const id = event.job_id;
    if (id === undefined) continue;
    const job = jobAfter(jobs.get(id), event);
    if (job === undefined) jobs.delete(id);
    else jobs.set(id, job);
  }
  return [...jobs.values()];
}

/** What a page showed at the moment, what was so, and whether there had been a page at all. */
export function momentOf(history: History, at: number): { shown: Job[]; truth: Job[]; opened: boolean } {
  const { events, pages, before } = history;
  const trueSeq = events.findLast((e) => Date.parse(e.recorded_at) <= at)?.seq ?? 0;
  const truth = jobsAt(before.truth, events, trueSeq);
  if (!pages.some((p) => Date.parse(p.opened_at) <= at)) return { shown: [], truth, opened: false };
  const seq = shownSeq(pages, events, at, before.trueSeq);
  return { shown: seq < before.trueSeq ? [...before.shown] : jobsAt(before.truth, events, seq), truth, opened: true };
}

/** A moment at which something happened: an event, or a page that was opened or closed. */
export interface Step {
  readonly at: number;
  readonly kind: "event" | "opened" | "closed";
}

/** All moments of the period at which something happened, each once, in their order. */
export function stepsOf({ period, events }: History, online: readonly Stretch[]): Step[] {
  const steps: Step[] = [
    ...events.map((e) => ({ at: Date.parse(e.recorded_at), kind: "event" as const })),
    ...online.map((s) => ({ at: s.from, kind: "opened" as const })),
    ...online.map((s) => ({ at: s.to, kind: "closed" as const })),
  ];
  const inside = steps.filter((s) => s.at >= period.from && s.at <= period.to).sort((a, b) => a.at - b.at);
  return inside.filter((s, i) => s.at !== inside[i - 1]?.at);
}

/** The step after the moment, or the one before it. */
export function stepFrom(steps: readonly Step[], at: number, onward: boolean): Step | undefined {
  return onward ? steps.find((s) => s.at > at) : steps.findLast((s) => s.at < at);
}
