import { describe, expect, test } from "vitest";
import { after, idOf, jobOf, noon } from "../../testing";
import type { Connection } from "../api";
import { arrivedOf, didArrive } from "../arrived";
import {
  type History,
  jobsAt,
  momentOf,
  offlineAt,
  onlineOf,
  pagesOf,
  shownSeq,
  stepFrom,
  stepsOf,
  type ToldRecord,
} from "./history";
import { firstId, loadHistory } from "./load";
import { offlineWords } from "./player";
import { around, parseThen, periodOf, spans, thenQuery } from "./view";

const start = Date.parse(noon);
const second = (n: number) => start + n * 1000;

function stream(change: Partial<Connection> = {}): Connection {
  return {
    id: "s1",
    node: "n",
    user: "alice",
    session: "",
    user_agent: "",
    address: null,
    topics: ["user:alice", "all"],
    filter: null,
    metadata: {},
    opened_at: after(0),
    opened_seq: 0,
    opened_head: 0,
    written_seq: 100,
    written_at: null,
    acked_seq: 0,
    acked_at: null,
    seen_seq: 0,
    seen_at: null,
    visible: true,
    closed_at: null,
    closed_why: "",
    close_asked_at: null,
    close_asked_by: "",
    ...change,
  };
}

/** The nth event, n seconds after noon: of a job whose progress is n in a hundred. */
function event(n: number, type = "job.progress", change: object = {}): ToldRecord {
  const whole = type === "job.progress" ? {} : jobOf();
  const data = { ...whole, id: idOf(1), version: n, progress: n / 100, ...change };
  const at = after(n * 1000);
  const receipt = { user: "alice", online: true, way: "live", stage: "seen" } as const;
  const more = { job_id: idOf(1), job_version: n, actor: "w", receipt };
  return { seq: n, id: `e${String(n)}`, type, time: at, recorded_at: at, data, ...more };
}

/** A job that begins with event 1, and moves each second until the tenth. */
const events = [event(1, "job.started"), ...Array.from({ length: 9 }, (_, i) => event(i + 2))];

/** Alice is there until the fourth second, away until the eighth, and back. */
const away = (back: Partial<Connection>) => [
  stream({ written_seq: 3, closed_at: after(4000) }),
  stream({ id: "s2", opened_at: after(8500), opened_seq: 3, opened_head: 8, ...back }),
];

function history(pages: Connection[], change: Partial<History> = {}): History {
  const before = { truth: [], shown: [], trueSeq: 0 };
  return { period: { from: second(0), to: second(12) }, events, pages, before, partial: false, ...change };
}

const shares = (jobs: { progress: number }[]) => jobs.map((j) => Math.round(j.progress * 100));

describe("what a page showed", () => {
  test("an open page has each event when it is recorded", () => {
    for (const n of [1, 5, 10]) expect(shownSeq([stream()], events, second(n) + 1, 0)).toBe(n);
  });

  test("while nobody is there, the cards stand still, and the truth goes on", () => {
    const past = history(away({}));
    for (const at of [4000, 6000, 8400]) {
      const moment = momentOf(past, start + at);
      expect(shares(moment.shown)).toEqual([3]);
      expect(shares(moment.truth)).toEqual([Math.floor(at / 1000)]);
    }
  });

  test("who comes back has what there was, at once: by replay, or afresh", () => {
    for (const back of [{}, { opened_seq: 8, written_seq: 8 }]) {
      expect(shares(momentOf(history(away(back)), start + 8500).shown)).toEqual([8]);
    }
  });

  test("what was not written was not shown", () => {
    const pages = [stream({ written_seq: 5, closed_at: after(9000), closed_why: "slow" })];
    expect(shares(momentOf(history(pages), second(8)).shown)).toEqual([5]);
    const replay = away({ written_seq: 6, closed_at: after(9000) });
    expect(shares(momentOf(history(replay), start + 8600).shown)).toEqual([6]);
  });

  test("before any page was open, none showed anything", () => {
    const moment = momentOf(history([stream({ opened_at: after(5000), opened_head: 5, opened_seq: 5 })]), second(3));
    expect(moment).toMatchObject({ shown: [], opened: false });
    expect(shares(moment.truth)).toEqual([3]);
  });

  test("a page that shows older jobs than there were when the stretch begins does so until somebody is back", () => {
    const older = jobOf({ progress: 0.1, version: 1 });
    const newer = jobOf({ progress: 0.2, version: 2 });
    const pages = away({}).map((p) => ({ ...p, opened_at: after(Date.parse(p.opened_at) - start - 3000) }));
    const before = { truth: [newer], shown: [older], trueSeq: 7 };
    const past = history(pages, { events: events.slice(7), before });
    expect(shares(momentOf(past, second(4)).shown)).toEqual([10]);
    expect(shares(momentOf(past, second(9)).shown)).toEqual([9]);
  });

  test("a deleted job is gone, and another's event touches nothing", () => {
    const gone = event(3, "job.deleted");
    expect(jobsAt([], [event(1, "job.started"), gone], 2)).toHaveLength(1);
    expect(jobsAt([], [event(1, "job.started"), gone], 3)).toEqual([]);
    expect(jobsAt([jobOf()], [event(2, "notification.system")], 9)).toEqual([jobOf()]);
  });

  test("a stream with a filter, or of other topics, is no page", () => {
    const streams = [stream(), stream({ filter: { types: ["job.failed"] } }), stream({ topics: ["channel:ops"] })];
    expect(pagesOf(streams, "alice")).toEqual([streams[0]]);
    expect(pagesOf(streams, "bob")).toEqual([]);
  });
});

describe("when somebody was there", () => {
  const online = onlineOf([
    stream({ opened_at: after(0), closed_at: after(4000) }),
    stream({ opened_at: after(2000), closed_at: after(3000) }),
    stream({ opened_at: after(4000), closed_at: after(5000) }),
    stream({ opened_at: after(8000) }),
  ]);

  test("streams that touch are one stretch", () => {
    expect(online).toEqual([
      { from: second(0), to: second(5) },
      { from: second(8), to: Infinity },
    ]);
  });

  test("a gap has its ends, and words", () => {
    expect(offlineAt(online, second(3))).toBeUndefined();
    expect(offlineAt(online, second(6))).toEqual({ from: second(5), to: second(8) });
    expect(offlineAt(online, second(5))).toEqual({ from: second(5), to: second(8) });
    expect(offlineAt(online, second(8))).toBeUndefined();
    expect(offlineWords({ from: second(5), to: second(8) })).toMatch(/^offline from .+ to .+$/);
    expect(offlineWords({ from: second(5), to: Infinity })).toMatch(/^offline since/);
    expect(offlineWords({ from: -Infinity, to: second(5) })).toMatch(/^not connected before/);
    expect(offlineWords({ from: -Infinity, to: Infinity })).toMatch(/^never connected/);
  });

  test("steps go to what happened, forth and back, and not out of the stretch", () => {
    const steps = stepsOf(history(away({}), { events: events.slice(0, 3) }), onlineOf(away({})));
    expect(steps.map((s) => `${s.kind} ${String((s.at - start) / 1000)}`)).toEqual([
      "opened 0",
      "event 1",
      "event 2",
      "event 3",
      "closed 4",
      "opened 8.5",
    ]);
    expect(stepFrom(steps, second(2), true)?.at).toBe(second(3));
    expect(stepFrom(steps, second(2), false)?.at).toBe(second(1));
    expect(stepFrom(steps, second(9), true)).toBeUndefined();
  });
});

test("a stretch is read: its events, its streams, and the jobs before it", async () => {
  const asked: string[] = [];
  const old = stream({ id: "old", opened_at: after(-9000), closed_at: after(-8000), written_seq: 4 });
  const answers: [RegExp, unknown][] = [
    [/users\/a%2Fb\/events.*order=asc/, { events: events.slice(5), next: "", floor: 0 }],
    [/connections\?user=a%2Fb.*since/, { connections: [stream({ id: "s2", topics: ["user:a/b"] })], next: "" }],
    [/connections\?user=a%2Fb.*before/, { connections: [{ ...old, topics: ["user:a/b"] }], next: "" }],
    [
      /users\/a%2Fb\/events\?limit=1/,
      { events: [{ ...event(5), recorded_at: after(-1000) }], next: "/more", floor: 0 },
    ],
    [/users\/a%2Fb\/jobs\?seq=5/, { jobs: [jobOf({ version: 5 })] }],
    [/users\/a%2Fb\/jobs\?seq=4/, { jobs: [jobOf({ version: 4 })], partial: true }],
  ];
  const period = { from: second(-2), to: second(12) };
  const read = await loadHistory("a/b", period, new AbortController().signal, <T>(path: string) => {
    asked.push(path);
    const found = answers.find(([pattern]) => pattern.test(path));
    if (found === undefined) throw new Error(`nobody answers ${path}`);
    return Promise.resolve(found[1] as T);
  });
  expect(read.before).toMatchObject({ truth: [{ version: 5 }], shown: [{ version: 4 }], trueSeq: 5 });
  expect(read.pages.map((p) => p.id).sort()).toEqual(["old", "s2"]);
  expect(read.events.map((e) => e.seq)).toEqual([6, 7, 8, 9, 10]);
  expect(read.partial).toBe(true);
  expect(asked).toHaveLength(6);
});

test("the first id of a moment begins with its time", () => {
  expect(firstId(Date.parse("2026-11-30T06:00:00Z"))).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7000-8000-000000000000$/);
  expect(firstId(second(1)) > firstId(second(0))).toBe(true);
});

test("the moment stands in the address, and what an address cannot mean is left out", () => {
  const view = { span: "10m", from: second(0), at: { time: second(5) }, truth: true } as const;
  expect(parseThen(thenQuery(view))).toEqual(view);
  expect(parseThen("at=42")).toEqual({ span: "1h", from: undefined, at: { seq: 42 }, truth: false });
  expect(parseThen("at=soon&from=x&span=toString")).toEqual({
    span: "1h",
    from: undefined,
    at: undefined,
    truth: false,
  });
  expect(periodOf({ ...view, at: { time: second(99999) } })).toEqual({
    period: { from: second(0), to: second(600) },
    at: second(600),
  });
  const from = around(second(0), "1h");
  expect(from < second(0) && second(0) < from + spans["1h"]).toBe(true);
});

test("whether something came has words, and is told from what did not", () => {
  const told = (
    stage: Parameters<typeof arrivedOf>[0]["stage"],
    way: "" | "replay" | "snapshot" = "",
    online = false,
  ) => {
    const receipt = { stage, way, online };
    return `${arrivedOf(receipt).text}: ${String(didArrive(receipt))}`;
  };
  expect(told("seen")).toBe("Seen: true");
  expect(told("acknowledged", "replay")).toBe("Arrived, after they came back: true");
  expect(told("missed")).toBe("Not sent: the connection had ended: false");
  expect(told("", "snapshot")).toBe("In the jobs they got when they came back: true");
  expect(told("")).toBe("Not sent: nobody was connected: false");
  expect(told("", "", true)).toBe("Not for the stream they had open: false");
});
