import { expect, test } from "vitest";
import { type Job, mergeJob, type Moving } from "./wire.js";

const job = { id: "j", version: 3, progress: 0.3, title: "clip", attempt: 1 } as Job;

test("newer progress is taken over, the rest kept", () => {
  expect(mergeJob(job, { id: "j", version: 4, progress: 0.4, attempt: 1 } as Moving)).toEqual({
    ...job,
    version: 4,
    progress: 0.4,
  });
});

test("what is not newer changes nothing", () => {
  for (const version of [2, 3]) {
    expect(mergeJob(job, { id: "j", version, progress: 0.1 } as Moving)).toBe(job);
  }
});
