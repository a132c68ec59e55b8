import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Polling } from "./polling";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("it reads again and again, one after the other, and keeps the last when it fails", async () => {
  let n = 0;
  const polling = new Polling(() => (++n === 2 ? Promise.reject(new Error("down")) : Promise.resolve(n)), 100);
  const stop = polling.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(polling.polled()).toMatchObject({ value: 1, error: "" });
  await vi.advanceTimersByTimeAsync(100);
  expect(polling.polled()).toMatchObject({ value: 1, error: "Herald cannot be reached." });
  await vi.advanceTimersByTimeAsync(100);
  expect(polling.polled()).toMatchObject({ value: 3, error: "" });
  stop();
  await vi.advanceTimersByTimeAsync(1000);
  expect(n).toBe(3);
});

test("nothing is read while the page is hidden, and at once when it is shown again", async () => {
  const read = vi.fn(() => Promise.resolve(0));
  const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(false);
  const stop = new Polling(read, 100).start();
  await vi.advanceTimersByTimeAsync(0);
  hidden.mockReturnValue(true);
  await vi.advanceTimersByTimeAsync(1000);
  expect(read).toHaveBeenCalledTimes(1);
  hidden.mockReturnValue(false);
  document.dispatchEvent(new Event("visibilitychange"));
  expect(read).toHaveBeenCalledTimes(2);
  stop();
});

test("a reading that is too late is of no matter", async () => {
  let answer: (n: number) => void = () => undefined;
  const polling = new Polling(() => new Promise<number>((resolve) => (answer = resolve)), 100);
  const stop = polling.start();
  stop();
  answer(1);
  await vi.advanceTimersByTimeAsync(1000);
  expect(polling.polled().value).toBeUndefined();
});
