import { HeraldError, type LogEvent, type TimelineFilter } from "@herald/client";
import { beforeEach, expect, test, vi } from "vitest";
import { JobLog } from "./joblog";
import type { EventListener, ToldEvent } from "./live";
import { noon } from "./testing";

/** A log on a server, and a stream that the test speaks for. */
function setup(length: number) {
  const server = Array.from({ length }, (_, i) => entry(i + 1));
  const jobEvents = vi.fn((_: string, { after = 0, before = Infinity, order, limit = 1000 }: TimelineFilter = {}) => {
    const found = server.filter((e) => e.seq > after && e.seq < before);
    if (order === "desc") found.reverse();
    return Promise.resolve({ events: found.slice(0, limit), next: found.length > limit ? "more" : "", floor: 0 });
  });
  const log = new JobLog({ jobEvents }, "j");
  let tell: EventListener = () => undefined;
  const end = vi.fn();
  log.subscribe(() => undefined);
  const stop = log.follow((listener) => {
    tell = listener;
    return end;
  });
  const say = (type: string | undefined) => {
    tell(type === undefined ? undefined : ({ type } as ToldEvent));
  };
  const seqs = () => log.state().events.map((e) => e.seq);
  return { server, jobEvents, log, say, seqs, stop, end };
}

function entry(seq: number): LogEvent {
  return { seq, id: String(seq), type: "job.message", time: noon, data: {} };
}

beforeEach(() => {
  vi.useFakeTimers();
  return () => {
    vi.useRealTimers();
  };
});

const soon = () => vi.advanceTimersByTimeAsync(0);

test("the newest page is read first, older ones when they are asked for", async () => {
  const { log, seqs } = setup(450);
  expect(log.state().status).toBe("loading");
  await soon();
  expect([seqs()[0], seqs().at(-1), log.state().more]).toEqual([251, 450, true]);
  log.readBack();
  await soon();
  log.readBack();
  await soon();
  expect([seqs()[0], seqs().length, log.state().more]).toEqual([1, 450, false]);
});

test("what the stream tells is read behind what is there, and not more often than once a second", async () => {
  const { server, jobEvents, say, seqs } = setup(2);
  await soon();
  for (const seq of [3, 4, 5]) {
    server.push(entry(seq));
    say("job.message");
  }
  await soon();
  expect(jobEvents).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(1000);
  expect(jobEvents).toHaveBeenCalledTimes(2);
  expect(seqs()).toEqual([1, 2, 3, 4, 5]);
});

test("mere progress makes nothing be read, a break does", async () => {
  const { jobEvents, say } = setup(2);
  await vi.advanceTimersByTimeAsync(1000);
  say("job.progress");
  await vi.advanceTimersByTimeAsync(2000);
  expect(jobEvents).toHaveBeenCalledTimes(1);
  say(undefined);
  await soon();
  expect(jobEvents).toHaveBeenCalledTimes(2);
});

test("who is far behind, or in front of what is kept, begins anew", async () => {
  const { server, jobEvents, log, say, seqs } = setup(1);
  await vi.advanceTimersByTimeAsync(1000);
  for (let seq = 2; seq <= 1000; seq++) server.push(entry(seq));
  say("job.message");
  await vi.advanceTimersByTimeAsync(1000);
  expect([seqs()[0], seqs().at(-1), log.state().more]).toEqual([801, 1000, true]);
  jobEvents.mockRejectedValueOnce(new HeraldError({ type: "", title: "too old", status: 410 }));
  say("job.message");
  await vi.advanceTimersByTimeAsync(1000);
  expect(log.state().error).toBe("");
  expect(seqs()).toHaveLength(200);
});

test("a failure is told, and what was read stays", async () => {
  const { jobEvents, log, say, seqs } = setup(2);
  await vi.advanceTimersByTimeAsync(1000);
  jobEvents.mockRejectedValueOnce(new TypeError("network"));
  say("job.step");
  await vi.advanceTimersByTimeAsync(1000);
  expect(log.state()).toMatchObject({ status: "ready", error: "Herald cannot be reached." });
  log.readOn();
  await soon();
  expect(log.state().error).toBe("");
  expect(seqs()).toEqual([1, 2]);
});

test("nothing is read any more when nobody looks", async () => {
  const { jobEvents, say, stop, end } = setup(1);
  await soon();
  say("job.message");
  stop();
  await vi.advanceTimersByTimeAsync(5000);
  expect(jobEvents).toHaveBeenCalledTimes(1);
  expect(end).toHaveBeenCalledOnce();
});
