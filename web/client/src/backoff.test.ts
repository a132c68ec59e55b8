import { expect, test } from "vitest";
import { fullJitter } from "./backoff.js";

const bounds = { first: 250, longest: 15_000 };

test("the bound doubles with each try, up to the longest", () => {
  const most = [0, 1, 2, 3, 6, 100, 5000].map((tries) => fullJitter(tries, bounds, () => 1));
  expect(most).toEqual([250, 500, 1000, 2000, 15_000, 15_000, 15_000]);
});

test("the wait is anything up to the bound", () => {
  expect(fullJitter(3, bounds, () => 0)).toBe(0);
  expect(fullJitter(3, bounds, () => 0.25)).toBe(500);
});
