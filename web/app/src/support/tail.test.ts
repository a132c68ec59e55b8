import { beforeEach, expect, test, vi } from "vitest";
import type { LogRecord } from "./record";
import { isGap, Tail } from "./tail";

function event(seq: number): LogRecord {
  return { seq, id: String(seq), type: "job.step", time: "", recorded_at: "", actor: "", data: {} };
}

/** A tail that keeps four lines, and two while it is paused, and tells when the test says so. */
let tail: Tail;
let due: (() => void)[] = [];

beforeEach(() => {
  due = [];
  tail = new Tail(4, (run) => due.push(run));
});

function add(...seqs: number[]): void {
  for (const seq of seqs) tail.add(event(seq));
}

function lines(): (number | string)[] {
  for (const run of due.splice(0)) run();
  return tail
    .shown()
    .lines.map((line) => (isGap(line) ? `${String(line.leftOut)} left out before ${String(line.seq)}` : line.seq));
}

test("the newest is on top, and the oldest go", () => {
  add(1, 2, 3, 4, 5);
  expect(lines()).toEqual([5, 4, 3, 2]);
});

test("what comes together is told of once", () => {
  const told = vi.fn();
  tail.subscribe(told);
  add(1, 2, 3);
  lines();
  expect(told).toHaveBeenCalledTimes(1);
});

test("a pause keeps what comes, in order", () => {
  add(1);
  tail.pause();
  add(2, 3);
  expect(lines()).toEqual([1]);
  expect(tail.shown()).toMatchObject({ paused: true, waiting: 2, leftOut: 0 });
  tail.resume();
  expect(lines()).toEqual([3, 2, 1]);
  expect(tail.shown()).toMatchObject({ paused: false, waiting: 0 });
});

test("what a long pause could not keep is counted, and told of where it would have been", () => {
  add(1);
  tail.pause();
  add(2, 3, 4, 5);
  expect(lines()).toEqual([1]);
  expect(tail.shown()).toMatchObject({ waiting: 4, leftOut: 2 });
  tail.resume();
  expect(lines()).toEqual([5, 4, "2 left out before 4", 1]);
  expect(tail.shown()).toMatchObject({ waiting: 0, leftOut: 0 });
  add(6);
  expect(lines()).toEqual([6, 5, 4, "2 left out before 4"]);
});

test("what is cleared does not come back", () => {
  add(1);
  tail.pause();
  add(2);
  tail.clear();
  add(3);
  expect(lines()).toEqual([3]);
  expect(tail.shown()).toMatchObject({ paused: false, waiting: 0 });
});

test("what was before comes below, and what is learnt takes the place of what was said", () => {
  add(3);
  tail.addBefore([event(1), event(2)]);
  tail.pause();
  add(4);
  tail.learn([{ ...event(3), actor: "ann" }, { ...event(4), actor: "bob" }, event(9)]);
  tail.resume();
  expect(lines()).toEqual([4, 3, 2, 1]);
  expect(tail.shown().lines.map((line) => (isGap(line) ? "" : line.actor))).toEqual(["bob", "ann", "", ""]);
});
