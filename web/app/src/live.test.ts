import { HeraldError, type Job, type StreamEvent } from "@herald/client";
import { describe, expect, test, vi } from "vitest";
import { Clock } from "./clock";
import { Live, type Reader, type StreamHandlers } from "./live";
import { JobStore } from "./store";
import { idOf, jobOf, noon } from "./testing";

/** A server that has the given jobs, and a stream that the test speaks for. */
function setup(jobs: Job[] = []) {
  const onServer = new Map(jobs.map((j) => [j.id, j]));
  const api = {
    job: vi.fn<Reader["job"]>((id) => {
      const job = onServer.get(id);
      return job === undefined ? Promise.reject(problem(404)) : Promise.resolve(job);
    }),
    listJobs: vi.fn<Reader["listJobs"]>(({ limit = 50, before = "" } = {}) => {
      const older = [...onServer.values()]
        .filter((j) => before === "" || j.id < before)
        .sort((a, b) => (a.id < b.id ? 1 : -1));
      const page = older.slice(0, limit);
      return Promise.resolve({ jobs: page, next: older.length > limit ? (page.at(-1)?.id ?? "") : "" });
    }),
  };
  const store = new JobStore((flush) => {
    flush();
  });
  const clock = new Clock();
  const onSignedOut = vi.fn();
  const close = vi.fn();
  let handlers: StreamHandlers | undefined;
  const followed = new Map<string, StreamHandlers>();
  const live = new Live(api, store, clock, onSignedOut, (given, [topic] = []) => {
    if (topic === undefined) handlers = given;
    else followed.set(topic, given);
    return { close: topic === undefined ? close : () => followed.delete(topic) };
  });
  const end = live.open();
  const say = (...events: StreamEvent[]) => {
    for (const event of events) handlers?.onEvent(event);
  };
  const state: StreamHandlers["onState"] = (...args) => handlers?.onState(...args);
  return { api, onServer, store, clock, live, onSignedOut, close, end, say, state, followed };
}

function problem(status: number): HeraldError {
  return new HeraldError({ type: "about:blank", title: "Problem", status, detail: "", request_id: "" });
}

function opened(change: { head?: number; resumed?: boolean } = {}): StreamEvent {
  return {
    type: "stream.open",
    data: {
      client_id: "c",
      node: "n",
      user: "demo",
      topics: [],
      heartbeat_ms: 15_000,
      ack_ms: 0,
      head: 10,
      resumed: false,
      ...change,
    },
  };
}

function snapshot(...jobs: Job[]): StreamEvent {
  return { type: "stream.snapshot", data: { jobs } };
}

function event(job: Job, seq = 11): StreamEvent {
  return { type: "job.step", seq, id: "e", time: noon, data: job };
}

function progress(job: Job): StreamEvent {
  return { type: "job.progress", seq: 11, id: "e", time: noon, data: job };
}

/** Lets the answers of the server arrive. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

test("a fresh stream reads the newest jobs and shows the active ones of the snapshot", async () => {
  const t = setup([jobOf({ id: idOf(1), state: "succeeded" }), jobOf({ id: idOf(2) })]);
  t.say(opened(), snapshot(jobOf({ id: idOf(2) })));
  await settle();
  expect(t.store.list()).toEqual({ active: [idOf(2)], ended: [idOf(1)], status: "ready", error: "", next: "" });
});

test("a resumed stream reads nothing", async () => {
  const t = setup([jobOf()]);
  t.say(opened({ resumed: true }));
  await settle();
  expect(t.api.listJobs).not.toHaveBeenCalled();
});

test("an active job that a snapshot lacks has ended meanwhile, and is read", async () => {
  const t = setup([jobOf({ version: 9, state: "succeeded" })]);
  t.store.put(jobOf({ version: 5 }));
  t.say(snapshot());
  await settle();
  expect(t.store.job(idOf(1))?.state).toBe("succeeded");
});

test("one that is gone altogether is removed", async () => {
  const t = setup();
  t.store.put(jobOf());
  t.say(snapshot());
  await settle();
  expect(t.store.list().active).toEqual([]);
});

test("a job that could not be read then is read when the stream opens again", async () => {
  const t = setup([jobOf({ version: 9, state: "failed" })]);
  t.store.put(jobOf({ version: 5 }));
  t.api.job.mockRejectedValueOnce(new TypeError("network"));
  t.say(snapshot());
  await settle();
  expect(t.store.job(idOf(1))?.state).toBe("running");
  t.say(opened({ resumed: true }));
  await settle();
  expect(t.store.job(idOf(1))?.state).toBe("failed");
  t.say(opened({ resumed: true }));
  await settle();
  expect(t.api.job).toHaveBeenCalledTimes(2);
});

test("progress of a job that the page does not know makes it read the job", async () => {
  const t = setup([jobOf({ version: 7 })]);
  t.say(progress(jobOf({ version: 6 })));
  await settle();
  expect(t.store.job(idOf(1))?.version).toBe(7);
});

test("a full view of a job that the page does not know is taken over at once", () => {
  const t = setup();
  t.say(event(jobOf()));
  expect(t.store.job(idOf(1))).toEqual(jobOf());
});

test("a deleted job goes", () => {
  const t = setup();
  t.say(event(jobOf()), { type: "job.deleted", seq: 12, id: "e", time: noon, data: { id: idOf(1), version: 6 } });
  expect(t.store.job(idOf(1))).toBeUndefined();
});

test("ended jobs that were deleted while no stream was open go, and those beyond the pages read stay", async () => {
  const all = Array.from({ length: 60 }, (_, i) => jobOf({ id: idOf(i + 1), state: "succeeded" }));
  const t = setup(all);
  t.say(opened());
  await settle();
  await t.live.loadOlder();
  expect(t.store.list().ended).toHaveLength(60);
  t.onServer.delete(idOf(55));
  t.say(opened());
  await settle();
  expect(t.store.list().ended).toHaveLength(59);
  expect(t.store.job(idOf(55))).toBeUndefined();
  expect(t.store.job(idOf(1))).toBeDefined();
});

test("after a long absence the list is read back to what the page knew", async () => {
  const t = setup([jobOf({ id: idOf(1), state: "succeeded" })]);
  t.say(opened());
  await settle();
  for (let n = 2; n <= 130; n++) t.onServer.set(idOf(n), jobOf({ id: idOf(n), state: "succeeded" }));
  t.say(opened());
  await settle();
  expect(t.store.list().ended).toHaveLength(130);
});

test("older pages are read on demand, and a reload keeps where they end", async () => {
  const t = setup(Array.from({ length: 120 }, (_, i) => jobOf({ id: idOf(i + 1), state: "succeeded" })));
  t.say(opened());
  await settle();
  expect(t.store.list().next).toBe(idOf(71));
  await t.live.loadOlder();
  expect(t.store.list()).toMatchObject({ next: idOf(21) });
  t.say(opened());
  await settle();
  expect(t.store.list().next).toBe(idOf(21));
  expect(t.store.list().ended).toHaveLength(100);
});

test("a list that cannot be read says why, and recovers with the stream", async () => {
  const t = setup([jobOf()]);
  t.api.listJobs.mockRejectedValueOnce(problem(503));
  t.say(opened());
  await settle();
  expect(t.store.list()).toMatchObject({ status: "failed" });
  expect(t.store.list().error).not.toBe("");
  t.say(opened());
  await settle();
  expect(t.store.list()).toMatchObject({ status: "ready", error: "" });
});

test("the connection's state is that of the stream", () => {
  const t = setup();
  const seen: string[] = [];
  t.live.subscribeState(() => seen.push(t.live.state()));
  expect(t.live.state()).toBe("connecting");
  for (const state of ["live", "reconnecting", "offline", "live"] as const) t.state(state);
  expect(seen).toEqual(["live", "reconnecting", "offline", "live"]);
  expect(t.onSignedOut).not.toHaveBeenCalled();
});

test("a stream that the server refuses for want of a session signs the page out", () => {
  const t = setup();
  t.state("closed", problem(403));
  expect(t.onSignedOut).not.toHaveBeenCalled();
  t.state("closed", problem(401));
  expect(t.onSignedOut).toHaveBeenCalledOnce();
});

test("the clock learns from what happens now, not from what is replayed", () => {
  const t = setup();
  const learn = vi.spyOn(t.clock, "learn");
  t.say(opened({ head: 20, resumed: true }), event(jobOf(), 15), event(jobOf(), 20));
  expect(learn).not.toHaveBeenCalled();
  t.say(event(jobOf(), 21));
  expect(learn).toHaveBeenCalledWith(noon);
});

test("closing closes the stream", () => {
  const t = setup();
  t.end();
  expect(t.close).toHaveBeenCalledOnce();
});

describe("who follows one job's log", () => {
  const progress = (n: number, seq: number): StreamEvent => ({
    type: "job.progress",
    seq,
    id: "e",
    time: noon,
    data: jobOf({ id: idOf(n), version: seq }),
  });

  test("is told of its events after the store knows them, and of no other job's", () => {
    const { live, store, say } = setup();
    store.put(jobOf({ id: idOf(1) }));
    const told: (number | undefined)[] = [];
    const end = live.subscribeEvents(idOf(1), () => told.push(store.job(idOf(1))?.version));
    say(progress(1, 20), progress(2, 21));
    end();
    say(progress(1, 22));
    expect(told).toEqual([20]);
  });

  test("is told of what happens around its job too", () => {
    const { live, say } = setup();
    const told = vi.fn();
    live.subscribeEvents(idOf(1), told);
    const data = { id: "a link's", job_id: idOf(1) };
    say({ type: "job.shared", seq: 20, id: "e", time: noon, data } as unknown as StreamEvent);
    expect(told).toHaveBeenCalledOnce();
  });

  test("is told when some may have been missed", () => {
    const { live, say } = setup();
    const told = vi.fn();
    live.subscribeEvents(idOf(1), told);
    say(opened({ resumed: true }));
    expect(told).not.toHaveBeenCalled();
    say(opened({ resumed: false }));
    expect(told).toHaveBeenCalledExactlyOnceWith(undefined);
  });
});

describe("somebody else's job", () => {
  const others = (change: Partial<Job> = {}) => jobOf({ id: idOf(7), owner: "alice", ...change });

  test("is not taken for deleted, since the user's list does not have it", async () => {
    const t = setup();
    t.store.put(others({ state: "failed" }));
    t.say(opened(), snapshot());
    await settle();
    expect(t.store.job(idOf(7))).toBeDefined();
  });

  test("is followed by a stream of its own, and forgotten when nobody looks", () => {
    const t = setup();
    t.store.put(others());
    const noticed = vi.fn();
    t.live.subscribeLog(noticed);
    const told = vi.fn();
    t.live.subscribeEvents(idOf(7), told);
    const end = t.live.follow(idOf(7));
    const stream = t.followed.get(`job:${idOf(7)}`);
    stream?.onEvent(opened());
    stream?.onEvent(snapshot(others({ version: 6 })));
    stream?.onEvent(event(others({ version: 7, state: "succeeded" })));
    expect(t.store.job(idOf(7))).toMatchObject({ version: 7, state: "succeeded" });
    expect(told).toHaveBeenCalledTimes(2); // that something may have been missed, and the end
    expect(noticed).not.toHaveBeenCalled();
    end();
    expect(t.followed.size).toBe(0);
    expect(t.store.job(idOf(7))).toBeUndefined();
    t.store.put(others());
    expect(t.store.job(idOf(7))).toBeDefined();
  });

  test("is read once more when it has ended before its stream began", async () => {
    const t = setup([others({ version: 9, state: "failed" })]);
    t.store.put(others());
    t.live.follow(idOf(7));
    t.followed.get(`job:${idOf(7)}`)?.onEvent(snapshot());
    await settle();
    expect(t.store.job(idOf(7))?.state).toBe("failed");
    t.followed.get(`job:${idOf(7)}`)?.onEvent(snapshot());
    await settle();
    expect(t.api.job).toHaveBeenCalledTimes(1);
  });
});
