import { expect, test } from "vitest";
import { parseRoute } from "./router";

const id = "019b7e5c-0000-7000-8000-00000000000a";

test.each([
  ["/", { name: "jobs" }],
  [`/jobs/${id}`, { name: "job", id }],
  [`/jobs/${id.toUpperCase()}/`, { name: "job", id }],
  ["/support", { name: "support" }],
  ["/support/", { name: "support" }],
  [`/support/jobs/${id}`, { name: "support" }],
  ["/supporters", { name: "nowhere" }],
  ["/dev", { name: "dev", part: "publish" }],
  ["/dev/stream/", { name: "dev", part: "stream" }],
  ["/dev/nothing", { name: "nowhere" }],
  ["/jobs/", { name: "nowhere" }],
  [`/jobs/${id}/x`, { name: "nowhere" }],
  ["/jobs/../../etc", { name: "nowhere" }],
])("%s", (path, want) => {
  expect(parseRoute(path)).toEqual(want);
});
