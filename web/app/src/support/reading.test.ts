import { HeraldError } from "@herald/client";
import { expect, test, vi } from "vitest";
import type { LogPage } from "./api";
import { noFilters } from "./filters";
import { Reading } from "./reading";

function page(seqs: number[], next = "", partial = false): LogPage {
  const events = seqs.map((seq) => ({
    seq,
    id: String(seq),
    type: "job.step",
    time: "",
    recorded_at: "",
    actor: "",
    data: {},
  }));
  return { events, next, prev: "", partial, floor: 3 };
}

/** A reading whose pages the test answers with, one after the other. */
function setup(...answers: (LogPage | Error)[]): { reading: Reading; asked: string[] } {
  const asked: string[] = [];
  const reading = new Reading(noFilters, (path) => {
    asked.push(path);
    const answer = answers.shift() ?? page([]);
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  });
  return { reading, asked };
}

/** Waits for promises alone, so that a slow machine changes nothing. */
async function until(so: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !so(); i++) await Promise.resolve();
  expect(so()).toBe(true);
}

function seqs(reading: Reading): number[] {
  return reading.found().events.map((e) => e.seq);
}

test("older pages follow the first, each once", async () => {
  const { reading, asked } = setup(page([9, 8], "/api/events?limit=100&before=8"), page([7, 6]));
  reading.start();
  await until(() => reading.found().status === "ready");
  expect(seqs(reading)).toEqual([9, 8]);
  reading.older();
  reading.older(); // while that one is read
  await until(() => reading.found().status === "ready");
  expect(seqs(reading)).toEqual([9, 8, 7, 6]);
  reading.older(); // there is none
  expect(asked).toEqual(["/api/events?limit=100", "/api/events?limit=500&before=8"]);
  expect(reading.found()).toMatchObject({ next: "", floor: 3, error: "" });
});

test("a page that is short for want of time is read on from", async () => {
  const { reading, asked } = setup(
    page([], "/api/events?before=900", true),
    page([5], "/api/events?before=500", true),
    page([4], "/api/events?before=4"),
  );
  reading.start();
  await until(() => reading.found().status === "ready");
  expect(seqs(reading)).toEqual([5, 4]);
  expect(asked.slice(1)).toEqual(["/api/events?before=900", "/api/events?before=500"]);
  expect(reading.found()).toMatchObject({ next: "/api/events?before=4", searching: false });
});

test("what failed is tried again from where it was, and nothing comes twice", async () => {
  const down = new HeraldError({ type: "about:blank", title: "Too many", status: 503 });
  const { reading, asked } = setup(page([5], "/api/events?before=5", true), down, page([2]));
  reading.start();
  await until(() => reading.found().status === "failed");
  expect(reading.found().error).toBe("Too many");
  reading.start();
  await until(() => reading.found().status === "ready");
  expect(seqs(reading)).toEqual([5, 2]);
  expect(asked.slice(1)).toEqual(["/api/events?before=5", "/api/events?before=5"]);
});

test("a search that is ended can be gone on with", async () => {
  let answer: (p: LogPage) => void = () => undefined;
  const asked: string[] = [];
  const reading = new Reading(noFilters, (path, signal) => {
    asked.push(path);
    if (asked.length !== 2)
      return Promise.resolve(page([9 - asked.length], "/api/events?before=8", asked.length === 1));
    return new Promise((resolve, reject) => {
      answer = resolve;
      signal.addEventListener("abort", () => {
        reject(new DOMException("", "AbortError"));
      });
    });
  });
  reading.start();
  await until(() => reading.found().searching);
  reading.pause();
  await until(() => reading.found().status === "ready");
  answer(page([1]));
  expect(seqs(reading)).toEqual([8]);
  reading.older();
  await until(() => reading.found().status === "ready");
  expect(seqs(reading)).toEqual([8, 6]);
});

test("nothing is told after the end", async () => {
  const { reading } = setup(page([1]));
  const told = vi.fn();
  reading.start();
  reading.subscribe(told);
  reading.stop();
  await Promise.resolve();
  expect(told).not.toHaveBeenCalled();
});

test("one event is asked for alone", async () => {
  const asked: string[] = [];
  const reading = new Reading({ ...noFilters, event: 7 }, (path) => {
    asked.push(path);
    return Promise.resolve(page([7], "/api/events?after=7"));
  });
  reading.start();
  await until(() => reading.found().status === "ready");
  expect(asked).toEqual(["/api/events?after=6&order=asc&limit=1"]);
  expect(reading.found().next).toBe("");
});
