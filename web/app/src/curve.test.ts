import type { CurvePoint } from "@herald/client";
import { expect, test } from "vitest";
import {
  isWorthDrawing,
  linesOf,
  mostPoints,
  nearest,
  pointOf,
  rowsOf,
  spanOf,
  summaryOf,
  tickLabel,
  ticksOf,
  withPoint,
} from "./curve";
import type { ToldEvent } from "./live";
import { after, jobOf, noon } from "./testing";

function point(seq: number, attempt: number, seconds: number, progress: number): CurvePoint {
  return { seq, attempt, time: after(seconds * 1000), progress };
}

const starts = new Map([
  [1, Date.parse(noon)],
  [2, Date.parse(after(10_000))],
]);

test("each attempt has a line of its own, from its start", () => {
  const lines = linesOf([point(1, 1, 2, 0.2), point(2, 1, 4, 0.5), point(3, 2, 11, 0.1)], starts);
  expect(lines).toEqual([
    {
      attempt: 1,
      spots: [
        { at: 0, share: 0 },
        { at: 2000, share: 0.2 },
        { at: 4000, share: 0.5 },
      ],
    },
    {
      attempt: 2,
      spots: [
        { at: 0, share: 0 },
        { at: 1000, share: 0.1 },
      ],
    },
  ]);
});

test("no line falls or runs back within its attempt", () => {
  const [line] = linesOf([point(1, 1, 3, 0.5), point(2, 1, 2, 0.4), point(3, 1, 4, 1.2)], starts);
  expect(line?.spots.slice(1)).toEqual([
    { at: 3000, share: 0.5 },
    { at: 3000, share: 0.5 },
    { at: 4000, share: 1 },
  ]);
});

test("the last five attempts are drawn, and a job that only waits is not", () => {
  const many = Array.from({ length: 8 }, (_, i) => point(i, i + 1, i + 1, 0.5));
  expect(linesOf(many, new Map()).map((l) => l.attempt)).toEqual([4, 5, 6, 7, 8]);
  expect(isWorthDrawing(linesOf([point(1, 1, 5, 0)], starts), 0)).toBe(false);
  expect(isWorthDrawing(linesOf([point(1, 0, 5, 0.5)], starts), 0)).toBe(false);
  expect(isWorthDrawing(linesOf([point(1, 1, 1, 0.4)], starts), 0)).toBe(false);
  expect(isWorthDrawing(linesOf([point(1, 1, 1, 0.4)], starts), 2000)).toBe(true);
  expect(isWorthDrawing(linesOf([point(1, 1, 5, 0.1)], starts), 0)).toBe(true);
});

test("points come once and in order, and there are never too many", () => {
  let points: readonly CurvePoint[] = [];
  for (let i = 1; i <= 3 * mostPoints; i++)
    points = withPoint(withPoint(points, point(i, 1, i, i / 3000)), point(i, 1, i, 0));
  expect(points.length).toBeLessThanOrEqual(mostPoints);
  expect(points.at(-1)?.progress).toBe(1);
  expect(points.every((p, i) => i === 0 || p.seq > (points[i - 1]?.seq ?? 0))).toBe(true);
});

test("events that do not tell of an attempt's progress are no points", () => {
  const event = (type: string, data: object) => ({ seq: 7, id: "", time: noon, type, data }) as unknown as ToldEvent;
  expect(pointOf(event("job.progress", { attempt: 1, progress: 0.3 }))).toEqual({
    seq: 7,
    time: noon,
    attempt: 1,
    progress: 0.3,
  });
  expect(pointOf(event("job.queued", { attempt: 1, progress: 0 }))).toBeUndefined();
  expect(pointOf(event("job.late_report", { attempt: 1 }))).toBeUndefined();
  expect(pointOf(event("notification.post", { attempt: 1, progress: 0 }))).toBeUndefined();
});

test("the drawing has room for the latest expected end", () => {
  const lines = linesOf([point(1, 1, 4, 0.5)], starts);
  expect(spanOf(lines, 5000, { low: 3000, high: 9000 })).toBe(14_000);
  expect(spanOf(lines, 0, undefined)).toBe(4000);
});

test.each([
  [4000, 4, [1000, 2000, 3000, 4000]],
  [100_000, 4, [30_000, 60_000, 90_000]],
  [7_200_000, 3, [3_600_000, 7_200_000]],
  [40 * 86_400_000, 4, [10, 20, 30, 40].map((d) => d * 86_400_000)],
])("the ticks of %i ms are round", (span, most, want) => {
  expect(ticksOf(span, most)).toEqual(want);
});

test("ticks have short names", () => {
  expect([500, 30_000, 90_000, 300_000, 7_200_000].map((t) => tickLabel(t).replaceAll("\u00a0", " "))).toEqual([
    ...["0.5 s", "30 s", "1 min 30 s", "5 min", "2 h"],
  ]);
});

test("the drawing is told in words, and in a few rows", () => {
  const points = Array.from({ length: 100 }, (_, i) => point(i, 1, i + 1, (i + 1) / 100));
  const [line] = linesOf(points, starts);
  if (line === undefined) throw new Error("no line");
  expect(rowsOf(line).map((r) => r.share)).toEqual([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]);
  expect(nearest(line, 33_300)?.share).toBe(0.33);
  const words = summaryOf(jobOf(), [line], { low: 12_000, high: 18_000 }).replaceAll("\u00a0", " ");
  expect(words).toBe("Progress over time; attempt 1: 100 % after 1 min 40 s; expected to end in 10 to 20 s.");
});
