import type { CurvePoint, Job } from "@herald/client";
import { duration, elapsed, percent, range } from "./format";
import type { Range } from "./progress";
import type { ToldEvent } from "./live";

/** How far an attempt was, so many milliseconds after it began. */
export interface Spot {
  readonly at: number;
  readonly share: number;
}

/** One attempt's way. */
export interface Line {
  readonly attempt: number;
  readonly spots: readonly Spot[];
}

/** How many points of all attempts are held. */
export const mostPoints = 1000;
/** How many attempts are drawn. */
const mostLines = 5;

/** The point that an event of the stream tells of; undefined when it tells of none. */
export function pointOf(event: ToldEvent): CurvePoint | undefined {
  if (!event.type.startsWith("job.") || event.type === "job.queued") return undefined;
  const data = event.data as { readonly attempt?: unknown; readonly progress?: unknown } | null;
  if (typeof data?.attempt !== "number" || typeof data.progress !== "number") return undefined;
  return { seq: event.seq, time: event.time, attempt: data.attempt, progress: data.progress };
}

/** The points with another one, in the order of the log, each once, and no more than can be drawn. */
export function withPoint(points: readonly CurvePoint[], point: CurvePoint): readonly CurvePoint[] {
  const last = points.at(-1);
  if (last !== undefined && last.seq >= point.seq) return points;
  const all = [...points, point];
  return all.length <= mostPoints ? all : all.filter((_, i) => i % 2 === 1);
}

/** The last attempts' lines. None ever falls or runs back, whatever the clocks say. */
export function linesOf(points: readonly CurvePoint[], starts: ReadonlyMap<number, number>): Line[] {
  const lines = new Map<number, Spot[]>();
  for (const { attempt, time, progress } of points) {
    if (attempt < 1) continue;
    const when = Date.parse(time);
    const spots = lines.get(attempt) ?? [{ at: 0, share: 0 }];
    if (!lines.has(attempt)) lines.set(attempt, spots);
    const start = starts.get(attempt) ?? Date.parse(points.find((p) => p.attempt === attempt)?.time ?? time);
    const last = spots.at(-1) ?? { at: 0, share: 0 };
    spots.push({ at: Math.max(when - start, last.at), share: Math.max(Math.min(progress, 1), last.share) });
  }
  return [...lines].map(([attempt, spots]) => ({ attempt, spots })).slice(-mostLines);
}

/** What took less is over before it is looked at, in milliseconds. */
const brief = 2000;

/** Whether there is a line to look at. */
export function isWorthDrawing(lines: readonly Line[], sofar: number): boolean {
  const ends = lines.map(({ spots }) => spots.at(-1) ?? { at: 0, share: 0 });
  return ends.some((s) => s.share > 0) && Math.max(sofar, ...ends.map((s) => s.at)) >= brief;
}

/** How much time the drawing spans: all that was, and the latest expected end. */
export function spanOf(lines: readonly Line[], sofar: number, left: Range | undefined): number {
  const ends = lines.map(({ spots }) => spots.at(-1)?.at ?? 0);
  return Math.max(...ends, sofar + (left?.high ?? 0), 1000);
}

const minute = 60_000;
const hour = 60 * minute;
const steps = [
  ...[0.2, 0.5, 1, 2, 5, 10, 15, 30].map((s) => s * 1000),
  ...[1, 2, 5, 10, 15, 30].map((m) => m * minute),
  ...[1, 2, 6, 12, 24].map((h) => h * hour),
];

/** Round times along the axis, at most so many besides the start. */
export function ticksOf(span: number, most: number): number[] {
  const step = steps.find((s) => span / s <= most) ?? Math.ceil(span / most / (24 * hour)) * 24 * hour;
  return Array.from({ length: Math.floor(span / step) }, (_, i) => (i + 1) * step);
}

/** A time along the axis: 30 s, 5 min, 2 h. */
export function tickLabel(ms: number): string {
  if (ms < 1000) return `${String(ms / 1000)}\u00a0s`;
  if (ms % hour === 0) return `${String(ms / hour)}\u00a0h`;
  if (ms % minute === 0) return `${String(ms / minute)}\u00a0min`;
  return elapsed(ms);
}

/** What the drawing shows, in words. */
export function summaryOf(job: Job, lines: readonly Line[], left: Range | "over" | undefined): string {
  const parts = lines.map(({ attempt, spots }) => {
    const { at, share } = spots.at(-1) ?? { at: 0, share: 0 };
    return `attempt ${String(attempt)}: ${percent(share)} after ${duration(at)}`;
  });
  if (job.state === "running" && typeof left === "object")
    parts.push(`expected to end in ${range(left.low, left.high)}`);
  return `Progress over time; ${parts.join("; ")}.`;
}

/** A line as a few rows of a table: where it passed each tenth, and its end. */
export function rowsOf({ spots }: Line): Spot[] {
  const rows: Spot[] = [];
  let next = 0.1;
  for (const spot of spots) {
    if (spot.share + 1e-9 < next) continue;
    rows.push(spot);
    next = (Math.floor(spot.share * 10 + 1e-9) + 1) / 10;
  }
  const last = spots.at(-1);
  if (last !== undefined && rows.at(-1) !== last) rows.push(last);
  return rows;
}

/** The spot of the line that is nearest to the time. */
export function nearest({ spots }: Line, at: number): Spot | undefined {
  return spots.reduce<Spot | undefined>(
    (best, spot) => (best === undefined || Math.abs(spot.at - at) < Math.abs(best.at - at) ? spot : best),
    undefined,
  );
}
