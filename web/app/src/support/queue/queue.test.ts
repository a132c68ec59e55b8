import { expect, test } from "vitest";
import type { Entry, EntryState, Queue, QueueNode } from "./api";
import { QueueReader } from "./reader";
import { healthOf, paceOf, standingOf } from "./standing";
import { everything, parseWanted, queryOfWanted, queuePlace } from "./wanted";

const now = Date.parse("2026-01-02T12:00:00Z");
const at = (seconds: number) => new Date(now + seconds * 1000).toISOString();
const plain = (text: string) => text.replaceAll("\u00a0", " ");

test.each([{ ...everything }, { state: "running", queue: "a&b", kind: "c d", open: 7 } as const])(
  "what is wanted comes out of the address as it went in: %j",
  (wanted) => {
    expect(parseWanted(`?${queryOfWanted(wanted)}`)).toEqual(wanted);
  },
);

test("what is malformed in the address counts as not said", () => {
  expect(parseWanted("?state=dancing&open=-1")).toEqual(everything);
  expect(queuePlace({})).toBe("/support/queue");
});

function entry(state: EntryState, change: Partial<Entry> = {}): Entry {
  return {
    id: 1,
    queue: "default",
    kind: "video",
    state,
    priority: 1,
    attempt: 1,
    max_attempts: 25,
    created_at: at(-100),
    scheduled_at: at(-90),
    attempted_at: at(-80),
    finalized_at: null,
    node: "n1",
    error: "",
    job: null,
    ...change,
  };
}

test.each([
  [entry("running"), "Running for 1 min 20 s on n1"],
  [entry("running", { node: "" }), "Running for 1 min 20 s"],
  [entry("available"), "Waits for a worker, for 1 min 30 s"],
  [entry("scheduled", { scheduled_at: at(5) }), "Its time comes in 5 s"],
  [entry("scheduled"), "Its time has come"],
  [entry("retryable", { scheduled_at: at(65) }), "Failed, again in 1 min 05 s"],
  [entry("retryable"), "Failed, again at once"],
  [entry("completed", { finalized_at: at(-10) }), "Completed 10 s ago"],
  [entry("cancelled", { finalized_at: at(-7200) }), "Cancelled 2 h ago"],
  [entry("discarded", { finalized_at: at(0) }), "Given up just now"],
  [entry("pending"), "Pending"],
])("an entry's standing in words: $0.state", (of, want) => {
  expect(plain(standingOf(of, now))).toBe(want);
});

test("a queue says what is wrong with it, and how fast it is", () => {
  const queue: Queue = {
    name: "default",
    paused_at: null,
    counts: {},
    oldest_at: null,
    next_at: null,
    completed_per_minute: 0,
    discarded_per_minute: 0,
  };
  const said = (change: Partial<Queue>) =>
    paceOf({ ...queue, ...change }, now).map((s) => `${s.tone}: ${plain(s.text)}`);
  expect(said({})).toEqual(["plain: None completed a minute"]);
  expect(said({ paused_at: at(-60), oldest_at: at(-5), next_at: at(30) })).toEqual([
    "warn: Paused for 1 min 00 s",
    "plain: The oldest waits for 5 s",
    "plain: The next comes in 30 s",
    "plain: None completed a minute",
  ]);
  expect(said({ completed_per_minute: 1234.5, discarded_per_minute: 0.02 })).toEqual([
    "plain: 1,235 completed a minute",
    "bad: Less than 0.1 given up a minute",
  ]);
  expect(said({ completed_per_minute: 2.25 })).toEqual(["plain: 2.3 completed a minute"]);
});

test.each<[Partial<QueueNode>, string]>([
  [{}, "plain: idle"],
  [{ leads: true, running: 3 }, "good: leads, 3 running"],
  [{ heartbeat_at: at(-90) }, "warn: idle, silent for 1 min 30 s"],
  [{ heartbeat_at: null, running: 1 }, "warn: 1 running, but it has left"],
])("how a node is: %j", (change, want) => {
  const node = { name: "n1", leads: false, running: 0, oldest_at: null, started_at: at(-900), heartbeat_at: at(-1) };
  const { tone, text } = healthOf({ ...node, ...change }, now);
  expect(plain(`${tone}: ${text}`)).toBe(want);
});

test("as many pages are read as were asked for, and what is open is no matter", async () => {
  const asked: string[] = [];
  const reader = new QueueReader({ ...everything, state: "running", open: 7 }, (path) => {
    asked.push(path);
    if (path === "/api/queue") return Promise.resolve({ at: at(0) });
    const last = path.includes("before=51");
    const page = { entries: [entry("running"), entry("running")], next: last ? "" : "51", partial: !last };
    return Promise.resolve(page);
  });
  const signal = new AbortController().signal;
  expect(await reader.read(signal)).toMatchObject({ more: true, partial: true, entries: { length: 2 } });
  expect(asked).toEqual(["/api/queue", "/api/queue/entries?state=running&limit=50"]);
  reader.more();
  expect(await reader.read(signal)).toMatchObject({ more: false, partial: false, entries: { length: 4 } });
  expect(asked.at(-1)).toBe("/api/queue/entries?state=running&limit=50&before=51");
});
