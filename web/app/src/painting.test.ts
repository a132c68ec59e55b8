import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { painting } from "./painting";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("what comes alone is shown with the next frame", () => {
  const paint = painting();
  const show = vi.fn();
  for (let i = 1; i <= 3; i++) {
    paint(show);
    vi.advanceTimersToNextFrame();
    expect(show).toHaveBeenCalledTimes(i);
    vi.advanceTimersByTime(100);
  }
  expect(vi.getTimerCount()).toBe(0);
});

test("a flood is shown with some frames, and leaves the others alone", () => {
  const paint = painting();
  const shownAt: number[] = [];
  const again = () => {
    shownAt.push(performance.now());
    paint(again);
  };
  paint(again);
  vi.advanceTimersByTime(10_000);
  const gaps = shownAt.slice(1).map((at, i) => at - (shownAt[i] ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(25);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(25 + 2 * 17);
});

test("a page without frames shows it all the same, once", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }); // no frame comes while only these go on
  const show = vi.fn();
  painting()(show);
  vi.advanceTimersByTime(499);
  expect(show).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(show).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(60_000);
  expect(show).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});
