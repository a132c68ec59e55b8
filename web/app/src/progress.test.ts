import { describe, expect, test } from "vitest";
import { partsOf, remainingAt } from "./progress";
import { after, jobOf, noon } from "./testing";

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

describe("remainingAt", () => {
  const now = (ms: number) => Date.parse(noon) + ms;

  test("counts down since the last report, and not below nothing", () => {
    expect(remainingAt(jobOf(), now(0))).toBe(12_000);
    expect(remainingAt(jobOf(), now(2_500))).toBe(9_500);
    expect(remainingAt(jobOf(), now(60_000))).toBe(0);
  });

  test("does not grow when this device's clock is behind", () => {
    expect(remainingAt(jobOf(), now(-3_000))).toBe(12_000);
  });

  test("is not told in a step's first seconds", () => {
    const steps = [{ name: "transcode", weight: 1, started_at: after(-1_000) }];
    expect(remainingAt(jobOf({ steps }), now(1_900))).toBeUndefined();
    expect(remainingAt(jobOf({ steps }), now(2_000))).toBe(10_000);
  });

  test.each([{ state: "cancelling" as const }, { stalled: true }, { remaining_ms: null }, { steps: [] }])(
    "is not told of %j",
    (change) => {
      expect(remainingAt(jobOf(change), now(0))).toBeUndefined();
    },
  );
});
