import { HeraldError } from "@herald/client";
import { describe, expect, test, vi } from "vitest";
import { after, idOf, jobOf, noon } from "../../testing";
import type { LogPage } from "../api";
import type { LogRecord } from "../record";
import { differences } from "./diff";
import { FileError, limits, readFile, writeFile } from "./file";
import { jobAfter, jobBefore } from "./fold";
import { lifeOf } from "./overview";
import { Reader } from "./reader";
import { attemptsOf, rowOf, type Row, rowsOf } from "./rows";
import { foldToggled, parseView, queryOf, toggled } from "./view";

function record(seq: number, type: string, data: object = {}, version = seq): LogRecord {
  const at = after(seq * 1000);
  const more = { job_id: idOf(1), job_version: version, actor: "w1", topics: [`job:${idOf(1)}`] };
  return { seq, id: `e${String(seq)}`, type, time: at, recorded_at: at, ...more, data };
}

function whole(seq: number, type: string, change: Parameters<typeof jobOf>[0] = {}): LogRecord {
  return record(seq, type, jobOf({ version: seq, ...change }));
}

function progress(seq: number, share: number): LogRecord {
  return record(seq, "job.progress", { id: idOf(1), version: seq, progress: share, state: "running" });
}

/** A job whose first attempt fails after three reports, and whose second succeeds. */
function story(): LogRecord[] {
  return [
    whole(1, "job.queued", { attempt: 0, state: "queued", progress: 0 }),
    whole(2, "job.started", { attempt: 1, worker: "w1", progress: 0 }),
    progress(3, 0.1),
    progress(4, 0.2),
    progress(5, 0.3),
    whole(6, "job.retrying", { attempt: 1, state: "retrying", error: "ffmpeg ended with 1\nline a\nline b\n" }),
    whole(7, "job.started", { attempt: 2, worker: "w2", progress: 0 }),
    progress(8, 0.5),
    whole(9, "job.succeeded", { attempt: 2, state: "succeeded", progress: 1 }),
  ];
}

const all = { errorsOnly: false, open: new Set<number>() };

function told(rows: readonly Row[]): string[] {
  return rows.map((row) => {
    switch (row.kind) {
      case "attempt":
        return `attempt ${String(row.attempt.number)} ${row.attempt.outcome}`;
      case "folded":
        return row.fold.text;
      case "gap":
        return row.text;
      case "event":
        return `${row.inside ? "- " : ""}${row.said.kind}`;
    }
  });
}

describe("folding", () => {
  test("a job is what its events say, and what is older changes nothing", () => {
    const [queued, started, first] = story();
    const job = [queued, started, first].reduce(
      (j, e) => (e === undefined ? j : jobAfter(j, e)),
      jobAfter(undefined, progress(1, 1)),
    );
    expect(job).toMatchObject({ version: 3, progress: 0.1, worker: "w1" });
    expect(jobAfter(job, progress(2, 0.9))).toBe(job);
    expect(jobAfter(job, record(4, "job.callback", { id: idOf(1) }))).toBe(job);
    expect(jobAfter(job, record(4, "job.deleted", { id: idOf(1), version: 4 }))).toBeUndefined();
  });

  test("the job before an event is put together from the last whole one", () => {
    expect(jobBefore(story(), 5)).toMatchObject({ version: 5, progress: 0.3, worker: "w1" });
    expect(jobBefore(story(), 0)).toBeUndefined();
    expect(jobBefore([progress(8, 0.5), progress(9, 0.6)], 1)).toBeUndefined();
  });
});

describe("differences", () => {
  test("fields that differ are named by their path, and what always differs comes last", () => {
    const before = {
      version: 1,
      state: "running",
      details: { fps: 10, speed: 2 },
      steps: [{ name: "probe", weight: 1 }],
      gone: 1,
    };
    const after = {
      version: 2,
      state: "failed",
      details: { fps: 12, speed: 2 },
      steps: [{ name: "probe", weight: 1, finished_at: "t" }],
    };
    expect(differences(before, after)).toEqual([
      { path: "state", from: "running", to: "failed" },
      { path: "details.fps", from: "10", to: "12" },
      { path: "steps.probe.finished_at", from: undefined, to: "t" },
      { path: "gone", from: "1", to: undefined },
      { path: "version", from: "1", to: "2" },
    ]);
    expect(differences(before, structuredClone(before))).toEqual([]);
  });

  test("what is long, deep or many is bounded", () => {
    expect(differences({ a: "" }, { a: "x".repeat(9999) })[0]?.to?.length).toBe(400);
    const wide = Object.fromEntries(Array.from({ length: 999 }, (_, i) => [`f${String(i)}`, i]));
    expect(differences({}, wide)).toHaveLength(200);
    const deep = (n: number) => JSON.parse(`{"a":`.repeat(20) + String(n) + "}".repeat(20)) as unknown;
    expect(differences(deep(1), deep(2))[0]?.path).toBe("a.a.a.a.a.a");
  });
});

describe("rows", () => {
  test("attempts have their heads, and progress between two states is one line", () => {
    expect(told(rowsOf(story(), all))).toEqual([
      "Queued",
      "attempt 1 failed",
      "Started",
      "3 progress reports, 10\u00a0% to 30\u00a0%",
      "Retrying",
      "attempt 2 succeeded",
      "Started",
      "Progress",
      "Succeeded",
    ]);
  });

  test("folded progress opens in place, and a link to what is in it opens it", () => {
    for (const open of [-3, 4]) {
      const rows = rowsOf(story(), { errorsOnly: false, open: new Set([open]) });
      expect(told(rows).slice(3, 8)).toEqual([
        "3 progress reports, 10\u00a0% to 30\u00a0%",
        "- Progress",
        "- Progress",
        "- Progress",
        "Retrying",
      ]);
      expect(rows[rowOf(rows, 4)]).toMatchObject({ kind: "event", event: { seq: 4 } });
    }
    const rows = rowsOf(story(), all);
    expect(rows[rowOf(rows, 4)]).toMatchObject({ kind: "folded" });
    expect(new Set(rows.map((r) => r.key)).size).toBe(rows.length);
  });

  test("problems alone are shown with their attempts", () => {
    expect(told(rowsOf(story(), { ...all, errorsOnly: true }))).toEqual([
      "attempt 1 failed",
      "Retrying",
      "attempt 2 succeeded",
    ]);
  });

  test("an attempt has its worker, its error, its last output and its end", () => {
    expect([...attemptsOf(story()).values()]).toMatchObject([
      { number: 1, worker: "w1", outcome: "failed", error: "ffmpeg ended with 1", output: "line a\nline b" },
      { number: 2, worker: "w2", outcome: "succeeded", error: "" },
    ]);
    expect([...attemptsOf(story().slice(0, 4)).values()]).toMatchObject([{ outcome: "under way", endedAt: undefined }]);
  });

  test("what is missing is said where it is missing", () => {
    const events = [progress(5, 0.3), progress(9, 0.4), progress(10, 0.5)];
    expect(told(rowsOf(events, all))).toEqual([
      "4 events are no longer kept: what came before this",
      "Progress",
      "3 events are missing here",
      "2 progress reports, 40\u00a0% to 50\u00a0%",
    ]);
  });

  test("ten thousand events become rows", () => {
    const events = [whole(1, "job.queued"), ...Array.from({ length: 9_999 }, (_, i) => progress(i + 2, i / 10_000))];
    expect(rowsOf(events, all)).toHaveLength(2);
    expect(rowsOf(events, { ...all, open: new Set([-2]) })).toHaveLength(10_001);
  });

  test("the overview has each attempt's way, thinned to what a screen can show", () => {
    const life = lifeOf(story());
    expect(life?.lanes.map((l) => l.points.map((p) => p.share))).toEqual([
      [0, 0.1, 0.2, 0.3, 0.46],
      [0, 0.5, 1],
    ]);
    const many = [
      whole(1, "job.queued"),
      whole(2, "job.started"),
      ...Array.from({ length: 5000 }, (_, i) => progress(i + 3, 0.5)),
    ];
    expect(lifeOf(many)?.lanes[0]?.points.length).toBeLessThan(310);
    expect(lifeOf([])).toBeUndefined();
  });
});

describe("files", () => {
  test("a timeline that was saved is read as it was", () => {
    expect(readFile(writeFile(idOf(1), story(), new Date(noon)))).toEqual({
      format: "herald.timeline/1",
      job: idOf(1),
      saved_at: new Date(noon).toISOString(),
      events: story(),
    });
  });

  type Members = Record<string, unknown>;

  /** Reads a file that was changed: its first events, and itself. */
  function broken(change: (events: Members[], file: Members) => void): () => unknown {
    const file = JSON.parse(writeFile(idOf(1), story(), new Date(noon))) as Members;
    change(file["events"] as Members[], file);
    return () => readFile(JSON.stringify(file));
  }

  function put(event: Members | undefined, change: Members): void {
    Object.assign(event ?? {}, change);
  }

  test.each<[string, string, () => unknown]>([
    ["no JSON", "not JSON", () => readFile("<html>")],
    ["null", "no timeline", () => readFile("null")],
    ["another format", "no timeline", broken((_, f) => (f["format"] = "x"))],
    ["no job", "which job", broken((_, f) => (f["job"] = "../../x"))],
    ["no time", "when it was made", broken((_, f) => (f["saved_at"] = "soon"))],
    ["events no list", "no list", broken((_, f) => (f["events"] = {}))],
    ["an event that is none", "Event 1 of the file has no seq", broken((_, f) => (f["events"] = [null]))],
    [
      "a seq that is a text",
      "has no seq",
      broken(([e]) => {
        put(e, { seq: "1" });
      }),
    ],
    [
      "out of order",
      "Event 2 of the file is out of order",
      broken(([, e]) => {
        put(e, { seq: 1 });
      }),
    ],
    [
      "no type",
      "has no type",
      broken(([e]) => {
        put(e, { type: "<b>" });
      }),
    ],
    [
      "no actor",
      "who caused it",
      broken(([e]) => {
        put(e, { actor: 7 });
      }),
    ],
    [
      "a time that is none",
      "has no time",
      broken(([e]) => {
        put(e, { time: "2026-99-99T" });
      }),
    ],
    [
      "nested deep",
      "nested too deep",
      () =>
        readFile(
          writeFile(idOf(1), story(), new Date(noon)).replace(
            '"data": {',
            `"data": {"x": ${"[".repeat(5000)}${"]".repeat(5000)},`,
          ),
        ),
    ],
    [
      "too many",
      "at most 100,000",
      () =>
        readFile(
          JSON.stringify({
            format: "herald.timeline/1",
            job: idOf(1),
            saved_at: noon,
            events: Array.from({ length: limits.events + 1 }, () => 0),
          }),
        ),
    ],
  ])("%s is refused, and it is said why", (_, why, read) => {
    expect(read).toThrow(FileError);
    expect(read).toThrow(why);
  });

  test("what an event does not have is not taken from a file", () => {
    const read = broken(([e]) => {
      put(e, { html: "<script>", topics: [1, "user:a"], job_version: "x" });
    });
    const { events } = read() as { events: LogRecord[] };
    expect(Object.keys(events[0] ?? {}).sort()).toEqual([
      "actor",
      "data",
      "id",
      "job_id",
      "recorded_at",
      "seq",
      "time",
      "topics",
      "type",
    ]);
    expect(events[0]?.topics).toEqual(["user:a"]);
  });
});

test("a view stands in the address, and what the address cannot mean is left out", () => {
  const view = { errorsOnly: true, clock: "before", open: [-3, 12] } as const;
  expect(parseView(queryOf(view))).toEqual(view);
  expect(parseView("errors=yes&clock=noon&open=x.0.1e99.4")).toEqual({ errorsOnly: false, clock: "day", open: [4] });
  expect(toggled(view, 12).open).toEqual([-3]);
  expect(toggled(view, 13).open).toEqual([-3, 12, 13]);
  expect(foldToggled(view, { seq: 3, lastSeq: 12, open: true }).open).toEqual([]);
  expect(foldToggled(parseView(""), { seq: 3, lastSeq: 12, open: false }).open).toEqual([-3]);
});

describe("reading", () => {
  function page(events: LogRecord[], next = ""): Promise<LogPage> {
    return Promise.resolve({ events, next, prev: "", floor: 0 });
  }
  const settled = async (reader: Reader) => {
    await vi.waitFor(() => {
      expect(reader.read().status).not.toBe("reading");
    });
  };

  test("all pages are read, and then what came later", async () => {
    const asked: string[] = [];
    const answers = [page(story().slice(0, 4), "/next"), page(story().slice(4, 6)), page(story().slice(5))];
    const reader = new Reader(idOf(1), (path) => {
      asked.push(path);
      return answers.shift() ?? page([]);
    });
    reader.more();
    await settled(reader);
    expect(reader.read()).toMatchObject({ status: "ready", cut: false });
    reader.more();
    await vi.waitFor(() => {
      expect(reader.read().events.map((e) => e.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });
    expect(asked).toEqual([
      `/api/jobs/${idOf(1)}/events?limit=1000`,
      "/next",
      `/api/events?job=${idOf(1)}&order=asc&limit=1000&after=6`,
    ]);
  });

  test("of a job that is gone the log still tells", async () => {
    const gone = new HeraldError({ type: "", title: "not found", status: 404 });
    const reader = new Reader(idOf(1), (path) => (path.startsWith("/api/jobs") ? Promise.reject(gone) : page(story())));
    reader.more();
    await settled(reader);
    expect(reader.read()).toMatchObject({ status: "ready" });
    expect(reader.read().events).toHaveLength(9);
  });

  test("a timeline without an end is cut, and said to be", async () => {
    const reader = new Reader(idOf(1), () => page(story(), "/next"), 5);
    reader.more();
    await settled(reader);
    expect(reader.read()).toMatchObject({ status: "ready", cut: true });
    expect(reader.read().events).toHaveLength(5);
  });

  test("what failed is told, and what is stopped is silent", async () => {
    const reader = new Reader(idOf(1), () => Promise.reject(new TypeError("network")));
    reader.more();
    await settled(reader);
    expect(reader.read()).toMatchObject({ status: "failed", error: "Herald cannot be reached." });
    const stopped = new Reader(idOf(1), () => page(story()));
    stopped.more();
    stopped.stop();
    await Promise.resolve();
    expect(stopped.read().status).toBe("reading");
  });
});
