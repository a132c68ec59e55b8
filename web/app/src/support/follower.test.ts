import type { StreamEvent, StreamOpen } from "@herald/client";
import { expect, onTestFinished, test, vi } from "vitest";
import type { LogPage } from "./api";
import { Follower } from "./follower";
import type { LogRecord } from "./record";
import { isGap, Tail } from "./tail";
import { matcher, parseTailFilters, tailQuery } from "./tail-filters";

function record(seq: number): LogRecord {
  return { seq, id: "", type: "job.step", time: "", recorded_at: "r", actor: "ann", topics: ["user:bob"], data: {} };
}

function opened(head: number, resumed = false): StreamEvent {
  return { type: "stream.open", data: { head, resumed } as StreamOpen };
}

function told(seq: number): StreamEvent {
  return { seq, id: "", type: "notification.x", time: "", data: { text: "hello" } };
}

function setup(answer: (path: string) => LogRecord[]): { follower: Follower; tail: Tail; asked: string[] } {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const asked: string[] = [];
  const tail = new Tail(10, (run) => {
    run();
  });
  const follower = new Follower(tail, "bob & co", ["job.*"], (path) => {
    asked.push(path);
    return Promise.resolve({ events: answer(path), next: "", prev: "", floor: 0 } satisfies LogPage);
  });
  return { follower, tail, asked };
}

function seqs(tail: Tail): string[] {
  return tail.shown().lines.map((line) => (isGap(line) ? "gap" : `${String(line.seq)} ${line.actor}`.trim()));
}

test("a tail begins with the last events, and joins the stream without a gap or a repeat", async () => {
  const { follower, tail, asked } = setup(() => [record(7), record(6)]);
  follower.take(opened(7));
  follower.take(told(8));
  await vi.advanceTimersByTimeAsync(0);
  expect(seqs(tail)).toEqual(["8", "7 ann", "6 ann"]);
  expect(asked).toEqual(["/api/events?before=8&limit=50&user=bob+%26+co&type=job.*"]);
  follower.take(opened(9, true)); // after a break, the stream goes on where it was
  expect(asked).toHaveLength(1);
});

test("what a stream does not say is read from the log, once for all that came together", async () => {
  const { follower, tail, asked } = setup(() => [record(8), record(9)]);
  follower.take(told(8));
  follower.take(told(9));
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual(["/api/events?after=7&order=asc&limit=2&user=bob+%26+co&type=job.*"]);
  expect(seqs(tail)).toEqual(["9 ann", "8 ann"]);
});

test("after the end nothing is asked", async () => {
  const { follower, asked } = setup(() => []);
  follower.take(told(8));
  follower.stop();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual([]);
});

test("what is followed comes out of the address as it went in", () => {
  const filters = { user: "a&b", types: ["job.failed", "notification.*"], text: "50 %" };
  expect(parseTailFilters(`?${tailQuery(filters)}`)).toEqual(filters);
  expect(tailQuery(parseTailFilters(""))).toBe("");
});

test.each([
  ["", true],
  ["  STEP ", true],
  ["user:bob", true],
  ["carol", false],
])("the text %j is in the event: %j", (text, want) => {
  expect(matcher(text)(record(1))).toBe(want);
});
