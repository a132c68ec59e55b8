import { expect, test } from "vitest";
import { after, idOf, noon } from "../../testing";
import type { Connection } from "../api";
import type { ToldRecord } from "../then/history";
import { gapBefore } from "./connections";
import { parseTold, toldPath, toldQuery } from "./filter";
import { linesOf } from "./lines";

function stream(from: number, to: number | null): Connection {
  const times = { opened_at: after(from), closed_at: to === null ? null : after(to) };
  return { id: String(from), topics: ["user:alice"], filter: null, ...times } as unknown as Connection;
}

test("what is listed stands in the address, and what an address cannot mean is left out", () => {
  const filter = { about: "problems", missed: true, open: 12 } as const;
  expect(parseTold(toldQuery(filter))).toEqual(filter);
  expect(parseTold("about=x&open=-1&missed=yes")).toEqual({ about: "all", missed: false, open: 0 });
});

test("each choice asks for what it says", () => {
  expect(toldPath("a/b", "all")).toBe("/api/users/a%2Fb/events?limit=200");
  expect(toldPath("al", "jobs")).toBe("/api/users/al/events?limit=200&type=job.*");
  expect(toldPath("al", "problems")).toBe("/api/users/al/events?limit=200&errors=true");
});

test("between two streams it is said how long nobody was there, and only then", () => {
  const [first, second, third] = (
    [
      [0, 4000],
      [3000, 5000],
      [9000, null],
    ] as const
  ).map(([from, to]) => stream(from, to));
  const pages = [third, second, first].filter((s) => s !== undefined);
  expect(gapBefore(pages, third)).toBe(4000);
  expect(gapBefore(pages, second)).toBeUndefined();
  expect(gapBefore(pages, first)).toBeUndefined();
});

test("progress of one job that fared alike is one line, with the job's title from wherever it is told", () => {
  const told = (seq: number, type: string, job: number, stage: "seen" | "", data: object = {}): ToldRecord => ({
    ...{ seq, id: `e${String(seq)}`, type, time: noon, recorded_at: noon, actor: "w", job_id: idOf(job), data },
    receipt: { user: "alice", online: true, way: "", stage },
  });
  const lines = linesOf([
    told(9, "job.progress", 1, "seen", { progress: 0.4 }),
    told(8, "job.progress", 1, "seen", { progress: 0.3 }),
    told(7, "job.progress", 1, "", { progress: 0.2 }),
    told(6, "job.progress", 2, "", { progress: 0.1 }),
    told(5, "job.started", 1, "seen", { title: "clip.mov", attempt: 1 }),
  ]);
  expect(lines.map((l) => [l.event.seq, l.count, l.text, l.subject])).toEqual([
    [9, 2, "2 progress reports, 30\u00a0% to 40\u00a0%", "clip.mov"],
    [7, 1, "20\u00a0% done", "clip.mov"],
    [6, 1, "10\u00a0% done", ""],
    [5, 1, "Attempt 1 started", "clip.mov"],
  ]);
});
