import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Turns } from "./turns";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a few at a time are called, in the order in which they asked, once each", () => {
  const turns = new Turns();
  const called: number[] = [];
  const all = Array.from({ length: 50 }, (_, n) => n);
  const listeners = all.map((n) => () => called.push(n));
  for (const listener of [...listeners, ...listeners]) turns.ask(listener);
  expect(called).toEqual([]);
  vi.advanceTimersByTime(32);
  expect(called).toEqual(all.slice(0, 12));
  vi.advanceTimersByTime(200);
  expect(called).toEqual(all);
  expect(vi.getTimerCount()).toBe(0);
});

test("who asks again in its turn comes behind the others", () => {
  const turns = new Turns();
  const called: string[] = [];
  const busy = () => {
    called.push("busy");
    if (called.length < 12) turns.ask(busy);
  };
  turns.ask(busy);
  for (const name of ["b", "c"]) turns.ask(() => called.push(name));
  vi.advanceTimersByTime(64);
  expect(called).toEqual(["busy", "b", "c", "busy"]);
});

test("those who ask all the time are called at a bounded pace, and all as often", () => {
  const turns = new Turns();
  const called = Array.from({ length: 100 }, () => 0);
  for (const n of called.keys()) {
    const listener = () => {
      called[n] = (called[n] ?? 0) + 1;
      turns.ask(listener);
    };
    turns.ask(listener);
  }
  vi.advanceTimersByTime(60_000);
  const sum = called.reduce((a, b) => a + b);
  expect(sum).toBeGreaterThan(11 * 60);
  expect(sum).toBeLessThan(12 * 60 + 130);
  expect(Math.max(...called) - Math.min(...called)).toBeLessThanOrEqual(1);
});

test("who has gone is not called", () => {
  const turns = new Turns();
  const gone = vi.fn();
  turns.ask(gone);
  turns.forget(gone);
  vi.advanceTimersByTime(32);
  expect(gone).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});
