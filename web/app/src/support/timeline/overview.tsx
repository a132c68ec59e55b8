import { type ReactElement, useMemo } from "react";
import { clockTime, duration } from "../../format";
import { type LogRecord, membersOf } from "../record";
import { type Attempt, attemptsOf } from "./rows";

/** How many points a curve has at most: there are no more pixels. */
const mostPoints = 300;
const height = 44;
const width = 1000;

const tones: Record<Attempt["outcome"], string> = {
  "under way": "text-accent",
  succeeded: "text-accent",
  failed: "text-bad",
  cancelled: "text-faint",
  "given up": "text-faint",
};

/** A job's life at a glance: how far each attempt came, and when. The list below has the same in words. */
export function Overview({ events }: { readonly events: readonly LogRecord[] }): ReactElement | null {
  const life = useMemo(() => lifeOf(events), [events]);
  if (life === undefined) return null;
  const { start, end, lanes } = life;
  const x = (ms: number) => ((ms - start) / (end - start)) * width;
  return (
    <figure aria-label="How far each attempt came, over time" className="px-4 pt-4 sm:px-5">
      <svg
        viewBox={`0 0 ${String(width)} ${String(height)}`}
        preserveAspectRatio="none"
        aria-hidden="true"
        className="h-14 w-full overflow-visible"
      >
        <line x1="0" x2={width} y1={height} y2={height} className="stroke-line" vectorEffect="non-scaling-stroke" />
        {lanes.map(({ attempt, points, from, to }) => (
          <g key={attempt.number + from} className={tones[attempt.outcome]} fill="currentColor" stroke="currentColor">
            <polygon points={polygon(points, x)} strokeWidth="0" opacity="0.16" />
            <polyline points={polyline(points, x)} fill="none" strokeWidth="1.5" vectorEffect="non-scaling-stroke" />
            <line x1={x(from)} x2={x(from)} y1="2" y2={height} opacity="0.4" vectorEffect="non-scaling-stroke" />
            {attempt.outcome === "failed" && (
              <line x1={x(to)} x2={x(to)} y1="0" y2={height} strokeWidth="2" vectorEffect="non-scaling-stroke" />
            )}
          </g>
        ))}
      </svg>
      <figcaption className="mt-1 flex justify-between gap-4 text-xs text-faint tabular-nums">
        <span>{clockTime(new Date(start).toISOString())}</span>
        <span>{duration(end - start)} in all</span>
        <span>{clockTime(new Date(end).toISOString())}</span>
      </figcaption>
    </figure>
  );
}

interface Point {
  readonly at: number;
  readonly share: number;
}

interface Lane {
  readonly attempt: Attempt;
  readonly points: readonly Point[];
  readonly from: number;
  readonly to: number;
}

/** The attempts with how far each was at what time; undefined where there is nothing to be drawn. */
export function lifeOf(events: readonly LogRecord[]): { start: number; end: number; lanes: Lane[] } | undefined {
  const start = Date.parse(events[0]?.time ?? "");
  const end = Date.parse(events.at(-1)?.time ?? "");
  const attempts = attemptsOf(events);
  if (!(end > start) || attempts.size === 0) return undefined;
  const lanes: Lane[] = [];
  let lane: { attempt: Attempt; points: Point[] } | undefined;
  const finish = () => {
    if (lane === undefined) return;
    const to = lane.attempt.endedAt ?? lane.points.at(-1)?.at ?? lane.attempt.startedAt;
    lanes.push({ attempt: lane.attempt, points: thinned(lane.points), from: lane.attempt.startedAt, to });
  };
  for (const event of events) {
    const attempt = attempts.get(event.seq);
    if (attempt !== undefined) {
      finish();
      lane = { attempt, points: [] };
    }
    const { progress } = membersOf(event.data);
    const at = Date.parse(event.time);
    const over = lane?.attempt.endedAt !== undefined && at > lane.attempt.endedAt;
    if (typeof progress === "number" && !over) lane?.points.push({ at, share: Math.min(Math.max(progress, 0), 1) });
  }
  finish();
  return { start, end, lanes };
}

function thinned(points: readonly Point[]): Point[] {
  const step = Math.ceil(points.length / mostPoints);
  return points.filter((_, i) => i % step === 0 || i === points.length - 1);
}

function polyline(points: readonly Point[], x: (ms: number) => number): string {
  return points.map((p) => `${x(p.at).toFixed(1)},${(height - p.share * (height - 4)).toFixed(1)}`).join(" ");
}

function polygon(points: readonly Point[], x: (ms: number) => number): string {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) return "";
  const base = (p: Point) => `${x(p.at).toFixed(1)},${String(height)}`;
  return `${base(first)} ${polyline(points, x)} ${base(last)}`;
}
