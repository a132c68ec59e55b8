import { describe, expect, test } from "vitest";
import {
  ago,
  bytes,
  count,
  duration,
  elapsed,
  percent,
  position,
  range,
  rangeLeft,
  sentence,
  shortTime,
  timeLeft,
} from "./format";

/** The tests write an ordinary space where the page has one that does not break. */
function plain(text: string): string {
  return text.replaceAll("\u00a0", " ");
}

describe("percent", () => {
  test.each([
    [0, "0 %"],
    [0.419, "41 %"],
    [0.29, "29 %"],
    [0.9999, "99 %"],
    [1, "100 %"],
    [-1, "0 %"],
    [2, "100 %"],
  ])("of %d is %s", (share, want) => {
    expect(plain(percent(share))).toBe(want);
  });
});

describe("bytes", () => {
  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [9_940, "9.9 kB"],
    [9_960, "10 kB"],
    [999_600, "1.0 MB"],
    [16_400_000, "16 MB"],
    [21_474_836_480, "21.5 GB"],
    [20_000_000_000, "20 GB"],
  ])("of %d is %s", (n, want) => {
    expect(plain(bytes(n))).toBe(want);
  });
});

describe("duration", () => {
  test.each([
    [-5, "0 ms"],
    [8.4, "8 ms"],
    [94, "94 ms"],
    [95, "0.1 s"],
    [312, "0.3 s"],
    [9_940, "9.9 s"],
    [9_990, "9 s"],
    [59_999, "59 s"],
    [192_000, "3 min 12 s"],
    [3_840_000, "1 h 04 min"],
  ])("of %d ms is %s", (ms, want) => {
    expect(plain(duration(ms))).toBe(want);
  });

  test("that still grows has whole seconds", () => {
    expect(plain(elapsed(4_900))).toBe("4 s");
  });
});

describe("timeLeft", () => {
  test.each([
    [0, "almost there"],
    [2_000, "almost there"],
    [2_001, "a few seconds left"],
    [10_000, "a few seconds left"],
    [10_001, "about 15 s left"],
    [41_000, "about 45 s left"],
    [59_001, "about 1 min left"],
    [150_000, "about 3 min left"],
    [3_600_000, "about an hour left"],
    [5_400_000, "about 1.5 h left"],
  ])("of %d ms is %s", (ms, want) => {
    expect(plain(timeLeft(ms))).toBe(want);
  });

  test("never grows in words while the estimate shrinks", () => {
    const worth = (words: string) => {
      const n = Number(/[\d.]+/.exec(words)?.[0] ?? (words === "about an hour left" ? 1 : 0));
      return words.includes("h left") || words.includes("hour") ? n * 3600 : words.includes("min") ? n * 60 : n;
    };
    let last = Infinity;
    for (let ms = 7_200_000; ms >= 0; ms -= 250) {
      const now = worth(plain(timeLeft(ms)));
      expect(now).toBeLessThanOrEqual(last);
      last = now;
    }
  });
});

describe("range", () => {
  test.each([
    [0, 4_000, "up to 4 s"],
    [2_300, 6_100, "2 to 7 s"],
    [12_000, 18_000, "10 to 20 s"],
    [1_000, 32_000, "up to 35 s"],
    [190_000, 290_000, "3 to 5 min"],
    [54_700, 127_000, "50 s to 3 min"],
    [4_000, 61_000, "up to 2 min"],
    [600_000, 4_000_000, "10 min to 1.5 h"],
    [180_000, 180_000, "3 min"],
    [3_700_000, 8_000_000, "1 to 2.5 h"],
  ])("of %d to %d ms is %s", (low, high, want) => {
    expect(plain(range(low, high))).toBe(want);
  });

  test("of the time left has words of its own near the end", () => {
    expect(plain(rangeLeft(0, 1_500))).toBe("almost there");
    expect(plain(rangeLeft(3_000, 9_000))).toBe("a few seconds left");
    expect(plain(rangeLeft(60_000, 180_000))).toBe("1 to 3 min left");
  });
});

describe("ago", () => {
  test.each([
    [-3_000, "just now"],
    [1_900, "just now"],
    [4_000, "4 s ago"],
    [61_000, "1 min ago"],
    [7_300_000, "2 h ago"],
    [200_000_000, "2 days ago"],
  ])("%d ms is %s", (ms, want) => {
    expect(plain(ago(ms))).toBe(want);
  });
});

test("count separates thousands", () => {
  expect(count(1234567)).toBe("1,234,567");
});

test.each([
  [7_900, "0:07"],
  [750_000, "12:30"],
  [3_723_000, "1:02:03"],
])("position of %d ms is %s", (ms, want) => {
  expect(position(ms)).toBe(want);
});

test("sentence makes words of a name", () => {
  expect(sentence("two_pass-encode")).toBe("Two pass encode");
});

describe("shortTime", () => {
  const days = (n: number) => new Date(Date.now() - n * 86_400_000);

  test("of today is the time of day", () => {
    expect(shortTime(days(0).toISOString())).toMatch(/^\d{1,2}:\d\d:\d\d/);
  });

  test("of another day has the day, and of another year the year", () => {
    expect(shortTime(days(2).toISOString())).toMatch(/\w{3}.*, \d{1,2}:\d\d:\d\d/);
    expect(shortTime("2001-02-03T12:00:00Z")).toContain("2001");
  });
});
