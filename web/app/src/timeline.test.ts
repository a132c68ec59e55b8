import { expect, test } from "vitest";
import { noon } from "./testing";
import { entryOf } from "./timeline";

function logged(type: string, data: unknown = {}) {
  return { seq: 1, type, time: noon, data };
}

test("a job's log reads as sentences", () => {
  const entries = [
    logged("job.queued", { attempt: 0 }),
    logged("job.started", { attempt: 1, worker: "w1" }),
    logged("job.step", { attempt: 1, step: "transcode" }),
    logged("job.retrying", { attempt: 1, error: "ffmpeg was killed" }),
    logged("job.late_report", { attempt: 1 }),
    logged("job.failed", { attempt: 3, error: "no space left" }),
    logged("job.callback", { outcome: "retrying", host: "example.org", error: "The receiver answered 503." }),
    logged("job.callback", { outcome: "delivered", host: "example.org", error: "" }),
    logged("job.artifacts_expired", { attempt: 3 }),
    logged("job.queued", { attempt: 3 }),
  ].map((event) => entryOf(event));
  expect(entries.map((e) => [e.tone, e.text, e.note])).toEqual([
    ["plain", "Queued", ""],
    ["good", "Attempt 1 started", "w1"],
    ["plain", "Transcode", ""],
    ["warn", "Attempt 1 failed; another one follows", "ffmpeg was killed"],
    ["warn", "A late report from attempt 1 was set aside", ""],
    ["bad", "Failed", "no space left"],
    ["warn", "Could not call example.org back; another try follows", "The receiver answered 503."],
    ["good", "Called example.org back", ""],
    ["plain", "Its files are no longer kept", ""],
    ["plain", "Queued again", ""],
  ]);
});

test("an event of a type to come is shown by its name", () => {
  expect(entryOf(logged("job.paused", null)).text).toBe("job.paused");
});
