import { expect, test } from "vitest";
import { type Chapter, chaptersOf, fold, type HistoryLine } from "./attempts";
import { after } from "./testing";

let seq = 0;

/** An event of a job's log so many seconds after noon. */
function logged(type: string, seconds: number, data: object = {}) {
  return { seq: ++seq, type: `job.${type}`, time: after(seconds * 1000), data };
}

function brief({ attempt, worker, outcome, error, startedAt, endedAt, lines }: Chapter) {
  const took = startedAt === undefined || endedAt === undefined ? undefined : endedAt - startedAt;
  return [attempt, worker, outcome, error, took, lines.map((l) => l.text)];
}

test("a log is told by attempts, each with its worker, its end and what was said", () => {
  const chapters = chaptersOf([
    logged("queued", 0, { attempt: 0 }),
    logged("started", 1, { attempt: 1, worker: "w1" }),
    logged("step", 2, { attempt: 1, step: "read", message: "" }),
    logged("message", 3, { attempt: 1, message: "row 7" }),
    logged("stalled", 33, { attempt: 1, message: "row 7" }),
    logged("retrying", 61, { attempt: 1, error: "The worker was lost." }),
    logged("late_report", 62, { attempt: 1 }),
    logged("started", 63, { attempt: 2, worker: "w2" }),
    logged("step", 64, { attempt: 2, step: "read", message: "row 1" }),
    logged("succeeded", 65, { attempt: 2, message: "row 1" }),
    logged("callback", 66, { outcome: "delivered", host: "example.org", error: "" }),
  ]);
  expect(chapters.map(brief)).toEqual([
    [0, "", "unknown", "", undefined, ["Queued"]],
    [1, "w1", "failed", "The worker was lost.", 60_000, ["Read", "row 7", "No word from the worker"]],
    [0, "", "unknown", "", undefined, ["A late report from attempt 1 was set aside"]],
    [2, "w2", "succeeded", "", 2000, ["Read", "row 1"]],
    [0, "", "unknown", "", undefined, ["Called example.org back"]],
  ]);
});

test("a log whose beginning is not read tells of an attempt what it can", () => {
  const [attempt] = chaptersOf([
    logged("message", 5, { attempt: 4, message: "half" }),
    logged("failed", 6, { attempt: 4, error: "no space" }),
  ]);
  expect(attempt && brief(attempt)).toEqual([4, "", "failed", "no space", undefined, ["half"]]);
});

test("an attempt whose end is not told has not ended well for all we know", () => {
  const outcomes = chaptersOf([logged("started", 0, { attempt: 1 }), logged("started", 9, { attempt: 2 })]).map(
    (c) => c.outcome,
  );
  expect(outcomes).toEqual(["unknown", "under way"]);
});

test("steps have the names that the kind gives them", () => {
  const [attempt] = chaptersOf([logged("step", 0, { attempt: 1, step: "rows" })], () => "Write the rows");
  expect(attempt?.lines[0]?.text).toBe("Write the rows");
});

test("long runs of messages are folded, but for their last ones", () => {
  const line = (text: string, message = true) => ({ seq: ++seq, text, message }) as HistoryLine;
  const few = ["a", "b", "c", "d", "e", "f"].map((t) => line(t));
  expect(fold(few)).toHaveLength(6);
  const many = Array.from({ length: 500 }, (_, i) => line(String(i)));
  const pieces = fold([line("Read", false), ...many, line("Write", false)]);
  const [first, folded, ...rest] = pieces.map((p) => ("line" in p ? p.line.text : p.folded.map((l) => l.text)));
  expect(first).toBe("Read");
  expect(folded).toHaveLength(496);
  expect(folded?.at(-1)).toBe("495");
  expect(rest).toEqual(["496", "497", "498", "499", "Write"]);
});
