import { describe, expect, test } from "vitest";
import { leftAt, partsOf, usualAt } from "./progress";
import { after, estimate, jobOf, noon } from "./testing";

describe("partsOf", () => {
  test("gives each step its own share and time", () => {
    expect(partsOf(jobOf({ progress: 0.46 }))).toEqual([
      { name: "probe", state: "done", share: 1, startedAt: Date.parse(after(-9_000)), tookMs: 400 },
      { name: "transcode", state: "under way", share: 0.5, startedAt: Date.parse(after(-8_600)), tookMs: undefined },
      { name: "thumbnails", state: "waiting", share: 0, startedAt: undefined, tookMs: undefined },
      { name: "store", state: "waiting", share: 0, startedAt: undefined, tookMs: undefined },
    ]);
  });

  test.each(["retrying", "failed", "cancelled"] as const)("a %s job's step has stopped", (state) => {
    expect(partsOf(jobOf({ state }))[1]).toMatchObject({ state: "stopped", share: 0.5 });
  });

  test("a step that stopped at once is still to be seen", () => {
    const [probe] = partsOf(
      jobOf({ state: "failed", progress: 0, steps: [{ name: "probe", weight: 1, started_at: noon }] }),
    );
    expect(probe?.share).toBeGreaterThan(0.05);
  });

  test("a step of no weight has no share until it is done", () => {
    const steps = [{ name: "wait", weight: 0, started_at: noon }];
    expect(partsOf(jobOf({ steps, progress: 0 }))[0]?.share).toBe(0);
  });

  test("a job without a plan has no parts", () => {
    expect(partsOf(jobOf({ steps: [] }))).toEqual([]);
  });
});

describe("leftAt", () => {
  const now = (ms: number) => Date.parse(noon) + ms;

  test("shrinks since the last report, and then is over", () => {
    expect(leftAt(jobOf(), now(0))).toEqual({ low: 12_000, high: 18_000 });
    expect(leftAt(jobOf(), now(15_000))).toEqual({ low: 0, high: 3_000 });
    expect(leftAt(jobOf(), now(18_001))).toBe("over");
  });

  test("does not grow when this device's clock is behind", () => {
    expect(leftAt(jobOf(), now(-3_000))).toEqual({ low: 12_000, high: 18_000 });
  });

  test.each([{ state: "cancelling" as const }, { stalled: true }, { estimate: null }, { estimate: estimate() }])(
    "is not told of %j",
    (change) => {
      expect(leftAt(jobOf(change), now(0))).toBeUndefined();
    },
  );
});

test("usualAt tells what such jobs took, and when this one is slower than nearly all", () => {
  const job = jobOf({ estimate: estimate({ usual_low_ms: 8_000, usual_high_ms: 11_000, usual_slow_ms: 12_000 }) });
  expect(usualAt(job, Date.parse(noon))).toEqual({ low: 8_000, high: 11_000, slow: false });
  expect(usualAt(job, Date.parse(noon) + 3_001)).toMatchObject({ slow: true });
  expect(usualAt(jobOf(), Date.parse(noon))).toBeUndefined();
});
