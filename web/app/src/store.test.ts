import type { Job, Moving } from "@herald/client";
import { describe, expect, test, vi } from "vitest";
import { JobStore } from "./store";
import { idOf, jobOf, noon, steppedStore } from "./testing";

function movingOf(change: Partial<Moving>): Moving {
  return {
    id: idOf(1),
    version: 6,
    attempt: 1,
    state: "running",
    stalled: false,
    progress: 0.5,
    step: "transcode",
    processed: 1300,
    total: 4800,
    unit: "frames",
    message: "",
    remaining_ms: 11_000,
    details: null,
    heartbeat_at: noon,
    updated_at: noon,
    estimate: null,
    ...change,
  };
}

test("a job is replaced by a newer version alone", () => {
  const store = new JobStore();
  store.put(jobOf({ version: 5, progress: 0.5 }));
  store.put(jobOf({ version: 4, progress: 0.4 }));
  store.put(jobOf({ version: 5, progress: 0.1 }));
  expect(store.job(idOf(1))?.progress).toBe(0.5);
  store.put(jobOf({ version: 6, progress: 0.6 }));
  expect(store.job(idOf(1))?.progress).toBe(0.6);
});

test("a moving part changes what it carries and keeps the rest", () => {
  const store = new JobStore();
  store.put(jobOf());
  expect(store.move(movingOf({}))).toBe(true);
  expect(store.job(idOf(1))).toEqual({ ...jobOf(), ...movingOf({}) });
});

test("an older moving part changes nothing, not even the object", () => {
  const store = new JobStore();
  store.put(jobOf({ version: 9 }));
  const before = store.job(idOf(1));
  expect(store.move(movingOf({ version: 9, progress: 0.1 }))).toBe(true);
  expect(store.job(idOf(1))).toBe(before);
});

test("a moving part of an unknown job is refused", () => {
  expect(new JobStore().move(movingOf({}))).toBe(false);
});

test("a removed job does not come back by an answer that was under way", () => {
  const store = new JobStore();
  store.put(jobOf());
  store.remove(idOf(1));
  store.put(jobOf({ version: 99 }));
  expect(store.move(movingOf({ version: 100 }))).toBe(true);
  expect(store.job(idOf(1))).toBeUndefined();
  expect(store.list().active).toEqual([]);
});

test("jobs under way come first, then queued ones, then ended ones, each the newest first", () => {
  const store = new JobStore();
  store.put(jobOf({ id: idOf(1), state: "succeeded" }));
  store.put(jobOf({ id: idOf(2), state: "running" }));
  store.put(jobOf({ id: idOf(3), state: "queued" }));
  store.put(jobOf({ id: idOf(4), state: "failed" }));
  store.put(jobOf({ id: idOf(5), state: "retrying" }));
  expect(store.list()).toMatchObject({ active: [idOf(5), idOf(2), idOf(3)], ended: [idOf(4), idOf(1)] });
});

test("progress tells the listeners of its job alone, and leaves the list as it is", () => {
  const { store, flush } = steppedStore();
  store.put(jobOf({ id: idOf(1) }));
  store.put(jobOf({ id: idOf(2) }));
  flush();
  const one = vi.fn();
  const two = vi.fn();
  const list = vi.fn();
  store.subscribeJob(idOf(1), one);
  store.subscribeJob(idOf(2), two);
  store.subscribeList(list);
  const before = store.list();
  store.move(movingOf({ id: idOf(1) }));
  flush();
  expect(one).toHaveBeenCalledOnce();
  expect(two).not.toHaveBeenCalled();
  expect(list).not.toHaveBeenCalled();
  expect(store.list()).toBe(before);
});

test("many changes between two paintings are told once", () => {
  const { store, flush } = steppedStore();
  store.put(jobOf());
  flush();
  const told = vi.fn();
  const any = vi.fn();
  store.subscribeJob(idOf(1), told);
  store.subscribeAny(any);
  for (let version = 6; version < 56; version++) store.move(movingOf({ version }));
  expect(told).not.toHaveBeenCalled();
  flush();
  expect(told).toHaveBeenCalledOnce();
  expect(any).toHaveBeenCalledOnce();
});

test("a listener that is gone is not told", () => {
  const { store, flush } = steppedStore();
  const told = vi.fn();
  store.subscribeJob(idOf(1), told)();
  store.put(jobOf());
  flush();
  expect(told).not.toHaveBeenCalled();
});

test("who is told by turns hears of the job by and by, once, and no more when they have gone", () => {
  vi.useFakeTimers();
  const { store, flush } = steppedStore();
  const [told, gone] = [vi.fn(), vi.fn()];
  store.subscribeJobByTurns(idOf(1), told);
  const leave = store.subscribeJobByTurns(idOf(1), gone);
  for (let version = 5; version < 8; version++) {
    store.put(jobOf({ version }));
    flush();
  }
  expect(told).not.toHaveBeenCalled();
  leave();
  vi.advanceTimersByTime(1000);
  expect(told).toHaveBeenCalledOnce();
  expect(gone).not.toHaveBeenCalled();
  vi.useRealTimers();
});

test("a job's start and end are told to whom it matters, once each", () => {
  const store = new JobStore();
  const told: string[] = [];
  store.subscribeTransitions((t) => told.push(`${t.kind} ${t.job.state}`));
  store.put(jobOf({ version: 1, state: "queued" }));
  store.put(jobOf({ version: 2, state: "running" }));
  store.put(jobOf({ version: 3, state: "retrying" }));
  store.put(jobOf({ version: 4, state: "running" }));
  store.put(jobOf({ version: 5, state: "failed" }));
  store.put(jobOf({ version: 6, state: "failed" }));
  expect(told).toEqual(["started running", "ended failed"]);
});

test("jobs that had ended before the page knew them are no news", () => {
  const store = new JobStore();
  const told = vi.fn();
  store.subscribeTransitions(told);
  store.put(jobOf({ state: "succeeded" }));
  expect(told).not.toHaveBeenCalled();
});

test("a failed reading of the list keeps what is there and where it goes on", () => {
  const store = new JobStore();
  store.put(jobOf());
  store.listRead({ status: "ready", next: "cursor" });
  store.listRead({ status: "failed", error: "gone" });
  expect(store.list()).toEqual({ active: [idOf(1)], ended: [], status: "failed", error: "gone", next: "cursor" });
});

test("what is shown follows at the next frame, and soon without one", () => {
  vi.useFakeTimers();
  const frames: FrameRequestCallback[] = [];
  vi.stubGlobal("requestAnimationFrame", (run: FrameRequestCallback) => frames.push(run));
  vi.stubGlobal("cancelAnimationFrame", vi.fn());
  const store = new JobStore();
  const told = vi.fn();
  store.subscribeAny(told);
  store.put(jobOf());
  frames.shift()?.(0);
  expect(told).toHaveBeenCalledTimes(1);
  store.put(jobOf({ version: 6 }));
  vi.advanceTimersByTime(500);
  expect(told).toHaveBeenCalledTimes(2);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("what is assumed of a job", () => {
  const stopping = (job: Job): Job => (job.state === "running" ? { ...job, state: "cancelling" } : job);

  test("is shown until it is settled, over what comes meanwhile", () => {
    const { store } = steppedStore();
    store.put(jobOf());
    const settled = store.assume(jobOf().id, stopping);
    expect(store.job(jobOf().id)?.state).toBe("cancelling");
    expect(store.job(jobOf().id)).toBe(store.job(jobOf().id));
    store.put(jobOf({ version: 6, progress: 0.5 }));
    expect(store.job(jobOf().id)).toMatchObject({ state: "cancelling", progress: 0.5 });
    settled();
    expect(store.job(jobOf().id)?.state).toBe("running");
  });

  test("gives way to the truth", () => {
    const { store } = steppedStore();
    store.put(jobOf());
    store.assume(jobOf().id, stopping);
    store.put(jobOf({ version: 6, state: "succeeded", progress: 1 }));
    expect(store.job(jobOf().id)?.state).toBe("succeeded");
  });
});

test("who waits for a job hears that there is none, once", () => {
  const { store, flush } = steppedStore();
  const changed = vi.fn();
  store.subscribeJob(idOf(9), changed);
  store.remove(idOf(9));
  flush();
  store.remove(idOf(9));
  flush();
  expect(changed).toHaveBeenCalledOnce();
  expect(store.isGone(idOf(9))).toBe(true);
});
