import { expect, test } from "vitest";
import { jobPlace, parsePlace, userPlace } from "./place";

const id = "019b7e5c-0000-7000-8000-00000000000a";

test.each([
  ["/support", { name: "search" }],
  ["/support/", { name: "search" }],
  ["/support/live", { name: "live" }],
  ["/support/live/x", { name: "nowhere" }],
  ["/support/connections/", { name: "connections" }],
  ["/support/queue", { name: "queue" }],
  ["/support/queue/1", { name: "nowhere" }],
  [jobPlace(id), { name: "job", id }],
  [`/support/jobs/${id.toUpperCase()}`, { name: "job", id }],
  ["/support/jobs/1", { name: "nowhere" }],
  ["/support/jobs", { name: "nowhere" }],
  [userPlace("a/b c%"), { name: "user", id: "a/b c%" }],
  [`${userPlace("alice")}/then`, { name: "then", id: "alice" }],
  [`${userPlace("alice")}/now`, { name: "nowhere" }],
  [`${userPlace("alice")}/then/x`, { name: "nowhere" }],
  ["/support/users/", { name: "nowhere" }],
  ["/support/users/%E0", { name: "nowhere" }],
  ["/support/nothing", { name: "nowhere" }],
])("%s", (path, want) => {
  expect(parsePlace(path)).toEqual(want);
});
