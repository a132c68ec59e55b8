import type { Job } from "@herald/client";
import { ask, type ConnectionPage } from "../api";
import { type History, pagesOf, shownSeq, type Stretch, type ToldRecord } from "./history";

type Ask = <T>(path: string, signal: AbortSignal) => Promise<T>;

/** How much of a past is read at most. */
const mostEvents = 5000;
const mostStreams = 1000;
/** How many streams before the period are looked at for what a page showed when it began. */
const earlier = 50;

interface ToldPage {
  readonly events: readonly ToldRecord[];
  readonly next: string;
  readonly floor: number;
}

interface JobsThen {
  readonly jobs: readonly Job[];
  readonly partial?: boolean;
}

/** Reads a stretch of a user's past. */
export async function loadHistory(
  user: string,
  period: Stretch,
  signal: AbortSignal,
  asked: Ask = ask,
): Promise<History> {
  const of = `/api/users/${encodeURIComponent(user)}`;
  const since = new Date(period.from).toISOString();
  const until = new Date(period.to + 1).toISOString();
  const [told, streams, past, last] = await Promise.all([
    events(`${of}/events?order=asc&limit=1000&since=${since}&until=${until}`, signal, asked),
    connections(`/api/connections?user=${encodeURIComponent(user)}&limit=200&since=${since}`, signal, asked),
    asked<ConnectionPage>(
      `/api/connections?user=${encodeURIComponent(user)}&limit=${String(earlier)}&before=${firstId(period.from)}`,
      signal,
    ),
    asked<ToldPage>(`${of}/events?limit=1&until=${since}`, signal),
  ]);
  const known = new Map([...past.connections, ...streams.all].map((c) => [c.id, c]));
  const pages = pagesOf([...known.values()], user);
  const trueSeq = last.events[0]?.seq ?? 0;
  const seq = Math.min(shownSeq(pages, [], period.from, trueSeq), trueSeq);
  const then = async (at: number) => {
    const none: JobsThen = { jobs: [] };
    return at === 0 ? none : asked<JobsThen>(`${of}/jobs?seq=${String(at)}`, signal);
  };
  const truth = await then(trueSeq);
  const shown = seq === trueSeq ? truth : await then(seq);
  const partial = told.cut || streams.cut || truth.partial === true || shown.partial === true;
  return { period, events: told.all, pages, before: { truth: truth.jobs, shown: shown.jobs, trueSeq }, partial };
}

interface Some<T> {
  readonly all: T[];
  readonly cut: boolean;
}

async function events(path: string, signal: AbortSignal, asked: Ask): Promise<Some<ToldRecord>> {
  const all: ToldRecord[] = [];
  for (let next = path; next !== "";) {
    const page = await asked<ToldPage>(next, signal);
    all.push(...page.events);
    next = page.next;
    if (all.length >= mostEvents) return { all: all.slice(0, mostEvents), cut: next !== "" || all.length > mostEvents };
  }
  return { all, cut: false };
}

async function connections(
  path: string,
  signal: AbortSignal,
  asked: Ask,
): Promise<Some<ConnectionPage["connections"][number]>> {
  const all: ConnectionPage["connections"][number][] = [];
  for (let before = ""; ;) {
    const page = await asked<ConnectionPage>(before === "" ? path : `${path}&before=${before}`, signal);
    all.push(...page.connections);
    before = page.next;
    if (before === "" || all.length >= mostStreams) return { all, cut: before !== "" };
  }
}

/** The first id that a stream could have that is opened at the moment: ids are UUIDv7, which begin with the time. */
export function firstId(ms: number): string {
  const hex = Math.max(0, Math.floor(ms)).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7000-8000-000000000000`;
}
