// @vitest-environment happy-dom
// What other clients of job progress were seen to do wrong, each over a connection that is cut and held up on its way.
import type { Job, StreamEvent } from "@herald/client";
import { act, StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { Server } from "../fake-server.js";
import { FakeHerald } from "../testing/index.js";
import { type EventSourceOptions, HeraldProvider, useEventSource, useJob, useJobs } from "./index.js";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0);
});

const id = "00000000-0000-7000-8000-000000000001";

/** A job that runs, as the server tells of it. */
function jobOf(version: number, change: Partial<Job> = {}): Job {
  return { ...new FakeHerald().addJob(), id, state: "running", version, ...change };
}

function frame(seq: number, type: string, data: unknown): string {
  return `id: ${String(seq)}\nevent: ${type}\ndata: ${JSON.stringify({ seq, id: String(seq), type, time: "", data })}\n\n`;
}

function snapshot(seq: number, ...jobs: Job[]): string {
  return `id: ${String(seq)}\nevent: stream.snapshot\ndata: ${JSON.stringify({ jobs })}\n\n`;
}

/** Renders what the hook returns, below a provider whose stream the test plays the server of. */
async function show<T>(hook: () => T, { strict = false, shown = true } = {}) {
  const server = new Server();
  const herald = new FakeHerald();
  const seen: T[] = [];
  function Shows(): null {
    seen.push(hook());
    return null;
  }
  const inside = (on: boolean) => (
    <HeraldProvider client={herald.client} stream={{ fetch: server.fetch }}>
      {on && <Shows />}
    </HeraldProvider>
  );
  const root = createRoot(document.createElement("div"));
  const settled = (change: () => unknown) =>
    act(async () => {
      await change();
      await vi.advanceTimersByTimeAsync(1);
    });
  const toggle = (on: boolean) =>
    settled(() => {
      root.render(strict ? <StrictMode>{inside(on)}</StrictMode> : inside(on));
    });
  await toggle(shown);
  onTestFinished(() =>
    settled(() => {
      root.unmount();
    }),
  );
  return {
    server,
    herald,
    seen,
    toggle,
    settled,
    now: () => seen.at(-1) as T,
    say: (text: string) => settled(() => server.last.send(text)),
    open: (resumed: boolean) => settled(() => server.last.open(15_000, { resumed })),
    asked: (name: string) => herald.calls.filter((call) => call[0] === name).length,
  };
}

test("behind a proxy that holds everything back, no end is announced before there is one", async () => {
  const ends: string[] = [];
  const { server, herald, say, settled, now, seen, open, asked } = await show(() => {
    const { addHandler } = useEventSource();
    useEffect(() => {
      addHandler("job.succeeded", (event) => ends.push(event.type));
    }, [addHandler]);
    return useJob(id);
  });
  herald.client.job = (wanted) => {
    herald.calls.push(["job", wanted]);
    return Promise.resolve(jobOf(1, { progress: 0.1 }));
  };
  await open(false);
  expect(now().job).toMatchObject({ state: "running", progress: 0.1 });

  // The proxy lets go of all that it held at once, says that all is done, and ends the answer as if it were whole.
  await say(snapshot(4, jobOf(1, { progress: 0.1 })) + frame(5, "job.progress", jobOf(2, { progress: 1 })));
  await settled(() => server.last.end());
  expect(now().job).toMatchObject({ state: "running", progress: 1 });
  expect(ends).toEqual([]);

  await settled(() => vi.advanceTimersByTimeAsync(20_000));
  expect(server.last.headers["last-event-id"]).toBe("5");
  await open(true);
  await say(frame(6, "job.succeeded", jobOf(3, { state: "succeeded", progress: 1 })));
  expect(now().job?.state).toBe("succeeded");
  expect(ends).toEqual(["job.succeeded"]);

  // After the end nobody asks any more, whatever becomes of the stream.
  const before = asked("job");
  const shown = seen.length;
  for (let i = 0; i < 3; i++) {
    await settled(() => server.last.cut());
    await settled(() => vi.advanceTimersByTimeAsync(20_000));
    await open(true);
  }
  expect(asked("job")).toBe(before);
  expect(seen.slice(shown).map((view) => view.job?.state)).not.toContain("running");
  expect(ends).toEqual(["job.succeeded"]);
});

test("who looks again sees nothing that was so before, not for a moment", async () => {
  const { herald, toggle, say, open, seen } = await show(() => useJob(id));
  let stands = jobOf(1, { progress: 0.2 });
  herald.client.job = () => Promise.resolve(stands);
  await open(false);
  await say(snapshot(1, stands));
  await toggle(false);
  stands = jobOf(9, { state: "failed", progress: 0.8 });
  seen.length = 0;
  await toggle(true);
  expect(seen.map((view) => view.job?.state)).toEqual([undefined, "failed"]);
});

test("progress never jumps back, in whatever order it is heard of", async () => {
  const { server, herald, say, open, settled, seen } = await show(() => useJob(id));
  let answer!: (job: Job) => void;
  herald.client.job = () => new Promise((resolve) => (answer = resolve));
  await open(false);
  await say(snapshot(3, jobOf(3, { progress: 0.3 })));
  await say(frame(4, "job.progress", jobOf(4, { progress: 0.5 })));
  await settled(() => {
    answer(jobOf(2, { progress: 0.2 })); // an answer that was long on its way
  });
  await say(frame(5, "job.progress", jobOf(3, { progress: 0.3 })));
  await settled(() => server.last.cut());
  await settled(() => vi.advanceTimersByTimeAsync(20_000));
  await open(false);
  await say(snapshot(4, jobOf(4, { progress: 0.5 }))); // read before what came last
  await say(frame(6, "job.progress", jobOf(6, { progress: 0.6 })));
  const shares = seen.flatMap((view) => view.job?.progress ?? []);
  expect(shares).toEqual([...shares].sort((a, b) => a - b));
  expect(shares.at(-1)).toBe(0.6);
});

test.each([false, true])(
  "after an error it goes on from its cursor, and nothing comes twice (strict: %s)",
  async (strict) => {
    const got: number[] = [];
    const { server, say, open, settled } = await show(
      () => {
        const { addHandler, removeHandler } = useEventSource();
        useEffect(() => {
          const handler = (event: StreamEvent) => {
            if ("seq" in event) got.push(event.seq);
          };
          addHandler("*", handler);
          return () => {
            removeHandler("*", handler);
          };
        }, [addHandler, removeHandler]);
      },
      { strict },
    );
    await open(false);
    await say(snapshot(10));
    await say(frame(11, "a", {}) + frame(12, "a", {}));
    for (const [seq, fail] of [
      [13, () => server.last.cut()],
      [14, () => server.last.end()],
      [15, () => vi.advanceTimersByTimeAsync(60_000)], // no heartbeat comes
    ] as const) {
      await settled(fail);
      await settled(() => vi.advanceTimersByTimeAsync(20_000));
      expect(server.last.headers["last-event-id"]).toBe(String(seq - 1));
      await open(true);
      await say(frame(seq - 1, "a", {}) + frame(seq, "a", {}));
    }
    expect(got).toEqual([11, 12, 13, 14, 15]);
  },
);

test("a cursor that is too old is said to be, and what is shown is read anew", async () => {
  const resets: unknown[] = [];
  const { server, herald, say, open, settled, now, asked } = await show(() => {
    const { addHandler } = useEventSource();
    useEffect(() => {
      addHandler("stream.reset", (event) => resets.push(event.data));
    }, [addHandler]);
    return useJobs();
  });
  let stand = [jobOf(2, { progress: 0.4 })];
  herald.client.listJobs = () => {
    herald.calls.push(["listJobs"]);
    return Promise.resolve({ jobs: stand, next: "" });
  };
  await open(false);
  await say(snapshot(100, ...stand));
  expect(now().jobs).toMatchObject([{ state: "running" }]);
  await settled(() => server.last.cut());

  // Meanwhile the job has ended, and the log no longer has the event that says so.
  stand = [jobOf(8, { state: "succeeded", progress: 1 })];
  await settled(() => vi.advanceTimersByTimeAsync(20_000));
  expect(server.last.headers["last-event-id"]).toBe("100");
  const before = asked("listJobs");
  await open(false);
  await say(`event: stream.reset\ndata: {"reason":"cursor_too_old"}\n\n${snapshot(900)}`);
  expect(resets).toEqual([{ reason: "cursor_too_old" }]);
  expect(asked("listJobs")).toBe(before + 1);
  expect(now().jobs).toMatchObject([{ state: "succeeded", version: 8 }]);

  await settled(() => server.last.cut());
  await settled(() => vi.advanceTimersByTimeAsync(20_000));
  expect(server.last.headers["last-event-id"]).toBe("900");
});

test("useEventSource with options has a stream of its own, without a provider, and begins anew for other topics", async () => {
  const server = new Server();
  const connected: boolean[] = [];
  const got: string[] = [];
  function Shows({ options }: { readonly options: EventSourceOptions }): null {
    const source = useEventSource(options);
    const { addHandler } = source;
    connected.push(source.connected);
    useEffect(() => {
      addHandler("a", (event) => got.push(event.type));
    }, [addHandler]);
    return null;
  }
  const root = createRoot(document.createElement("div"));
  const settled = (change: () => unknown) =>
    act(async () => {
      await change();
      await vi.advanceTimersByTimeAsync(1);
    });
  const render = (topic: string) =>
    settled(() => {
      // What is written anew each time it is rendered is the same stream.
      const options = { topics: [topic], fetch: server.fetch, token: () => "t" };
      root.render(<StrictMode>{<Shows options={options} />}</StrictMode>);
    });
  await render("all");
  await render("all");
  await settled(() => server.last.open());
  await settled(() => server.last.send(frame(1, "a", {})));
  expect(server.last.url).toBe("/api/sse?topic=all");
  expect([connected.at(-1), got]).toEqual([true, ["a"]]);
  const made = server.connections.length;
  await render("channel:x");
  expect(server.connections.map((c) => c.url).slice(made)).toEqual(["/api/sse?topic=channel%3Ax"]);
  await settled(() => server.last.open());
  await settled(() => server.last.send(frame(2, "a", {})));
  expect(got).toEqual(["a", "a"]);
  await settled(() => {
    root.unmount();
  });
  expect(vi.getTimerCount()).toBe(0);
});
