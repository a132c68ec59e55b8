import type { JobKind } from "@herald/client";
import { expect, test, vi } from "vitest";
import { isGone, type Means, sourceUpload, whyNotAgain, whyNotRetry } from "./again";
import { jobOf } from "./testing";

const means: Means = { mayChange: true, kinds: [{ name: "video" } as JobKind], sourceGone: false };
const failed = jobOf({ state: "failed" });

test("what can be run again is, and what cannot says why", () => {
  expect(whyNotAgain(failed, means)).toBeUndefined();
  expect(whyNotAgain(failed, { ...means, mayChange: false })).toBe("Only its owner can run it again.");
  expect(whyNotAgain(failed, { ...means, sourceGone: true })).toContain("no longer kept");
  expect(whyNotAgain(jobOf({ external: true, kind: "build" }), means)).toContain("elsewhere");
  expect(whyNotAgain(jobOf({ kind: "import" }), means)).toContain("another queue");
  expect(whyNotAgain(failed, { ...means, kinds: undefined })).toBe("Asking what can be run.");
});

test("a retry needs its source and its owner", () => {
  expect(whyNotRetry(means)).toBeUndefined();
  expect(whyNotRetry({ ...means, sourceGone: true })).toContain("no longer kept");
  expect(whyNotRetry({ ...means, mayChange: false })).toBe("Only its owner can retry it.");
});

test("an upload is gone when the server says so, not when it cannot be asked", async () => {
  expect(sourceUpload(jobOf({ args: { source: { upload: "u1" }, preset: "gif" } }))).toBe("u1");
  expect(sourceUpload(jobOf())).toBeUndefined();
  for (const [status, gone] of [
    [200, false],
    [404, true],
    [410, true],
    [503, false],
  ] as const) {
    vi.stubGlobal("fetch", () => Promise.resolve(new Response(null, { status })));
    expect(await isGone("u1")).toBe(gone);
  }
});
