import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Clock } from "./clock";
import { after, noon } from "./testing";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse(noon) });
});
afterEach(() => {
  vi.useRealTimers();
});

test("it ticks each second while somebody listens, and not a moment longer", () => {
  const clock = new Clock();
  const ticks: number[] = [];
  const stop = clock.subscribe(() => ticks.push(clock.read() - Date.parse(noon)));
  vi.advanceTimersByTime(3000);
  stop();
  expect(ticks).toEqual([0, 1000, 2000, 3000]);
  expect(vi.getTimerCount()).toBe(0);
});

test("all listeners share one timer", () => {
  const clock = new Clock();
  const stops = [clock.subscribe(vi.fn()), clock.subscribe(vi.fn())];
  expect(vi.getTimerCount()).toBe(1);
  stops[0]?.();
  expect(vi.getTimerCount()).toBe(1);
  stops[1]?.();
  expect(vi.getTimerCount()).toBe(0);
});

test("a device whose clock is wrong shows the server's time", () => {
  const clock = new Clock();
  clock.learn(after(-60_000 - 80));
  clock.learn(after(-60_000 - 20));
  clock.learn(after(-60_000 - 500));
  expect(clock.now()).toBe(Date.parse(noon) - 60_020);
});

test("the way of an event is not taken for a wrong clock", () => {
  const clock = new Clock();
  clock.learn(after(-400));
  expect(clock.now()).toBe(Date.parse(noon));
});

test("a hidden page does not tick, and is right when it is shown again", () => {
  const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
  const clock = new Clock();
  const tick = vi.fn();
  const stop = clock.subscribe(tick);
  vi.advanceTimersByTime(60_000);
  expect(tick).not.toHaveBeenCalled();
  hidden.mockReturnValue(false);
  document.dispatchEvent(new Event("visibilitychange"));
  expect(tick).toHaveBeenCalledOnce();
  expect(clock.read()).toBe(Date.parse(noon) + 60_000);
  stop();
});
