// @vitest-environment happy-dom
import { type HeraldAPI, HeraldError, type Job, type StreamEvent } from "@herald/client";
import { act, type ReactNode, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { expect, onTestFinished, test, vi } from "vitest";
import { FakeHerald } from "../testing/index.js";
import { HeraldProvider, useEventSource, useJob, useJobs, usePresence, useUpload } from "./index.js";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

/** Renders what the hook returns, each time, around the fake's stream. */
async function show<T>(herald: FakeHerald, hook: () => T, strict = false) {
  const seen: T[] = [];
  let use = hook;
  let shown = true;
  function Shows(): null {
    seen.push(use());
    return null;
  }
  const root = createRoot(document.createElement("div"));
  const render = () => {
    const inside: ReactNode = (
      <HeraldProvider client={herald.client} openStream={herald.openStream}>
        {shown && <Shows />}
      </HeraldProvider>
    );
    root.render(strict ? <StrictMode>{inside}</StrictMode> : inside);
  };
  const settled = (change: () => unknown) =>
    act(async () => {
      await change();
      await new Promise((resolve) => setTimeout(resolve));
    });
  await settled(render);
  onTestFinished(async () => {
    await settled(() => {
      root.unmount();
    });
  });
  return {
    seen,
    now: () => seen.at(-1) as T,
    settled,
    change: (next: () => T) =>
      settled(() => {
        use = next;
        render();
      }),
    toggle: (on: boolean) =>
      settled(() => {
        shown = on;
        render();
      }),
  };
}

function callsOf(herald: FakeHerald, name: keyof HeraldAPI): number {
  return herald.calls.filter((call) => call[0] === name).length;
}

function stepOf(job: Job): StreamEvent {
  return { seq: 1, id: "late", type: "job.step", time: "", data: job };
}

test("Parity_19: useEventSource says whether it is connected, and calls handlers until they are removed", async () => {
  const herald = new FakeHerald();
  const { now, seen, settled, toggle } = await show(herald, () => useEventSource());
  expect(seen.map((view) => view.connected)).toEqual([false, true]);
  const got: string[] = [];
  const handler = (event: StreamEvent) => got.push(event.type);
  const { addHandler, removeHandler } = now();
  addHandler("notification.payment", handler);
  addHandler("notification.*", handler);
  herald.notify("notification.payment", {});
  removeHandler("notification.*", handler);
  herald.notify("notification.payment", {});
  herald.notify("notification.other", {});
  expect(got).toEqual(["notification.payment", "notification.payment", "notification.payment"]);
  await settled(() => {
    herald.cut();
  });
  expect(now()).toMatchObject({ connected: false, state: "reconnecting" });
  await settled(() => {
    herald.connect();
  });
  expect(now()).toMatchObject({ connected: true, addHandler, removeHandler });
  await toggle(false);
  herald.notify("notification.payment", {});
  expect(got).toHaveLength(3);
});

test("a stream that ends for good says why", async () => {
  const herald = new FakeHerald();
  const { now, settled } = await show(herald, () => useEventSource());
  await settled(() => {
    herald.expire();
  });
  expect(now()).toMatchObject({ connected: false, state: "closed", error: { status: 401 } });
});

test("Parity_19: a job is shown by version, and never goes back", async () => {
  const herald = new FakeHerald();
  const { id } = herald.addJob();
  const { now, seen, settled } = await show(herald, () => useJob(id));
  expect(seen[0]).toMatchObject({ job: undefined, loading: true });
  await settled(() => {
    const old = herald.report(id, { state: "running", progress: 0.2 });
    herald.report(id, { progress: 0.4 });
    for (const stream of herald.streams) stream.say(stepOf(old));
  });
  expect(now().job).toMatchObject({ state: "running", progress: 0.4 });
  await settled(() => {
    herald.cut();
    herald.report(id, { progress: 0.6 });
    herald.connect();
  });
  expect(now().job?.progress).toBe(0.6);
  expect(seen.flatMap((view) => view.job?.progress ?? [])).toEqual([0, 0.4, 0.6]);
  expect(callsOf(herald, "job")).toBe(1);
});

test("nothing of before is shown when somebody looks again, or at another job", async () => {
  const herald = new FakeHerald();
  const first = herald.addJob();
  const second = herald.addJob();
  const { seen, now, change, toggle } = await show(herald, () => useJob(first.id));
  await change(() => useJob(second.id));
  expect(seen.map((view) => view.job?.id)).toEqual([undefined, first.id, undefined, second.id]);
  await toggle(false);
  herald.report(second.id, { progress: 0.5 });
  seen.length = 0;
  await toggle(true);
  expect(seen.map((view) => view.job?.progress)).toEqual([undefined, 0.5]);
  expect(now().loading).toBe(false);
});

test("a cancellation is shown at once, and put right by what comes", async () => {
  const herald = new FakeHerald();
  const { id } = herald.addJob({ state: "running" });
  const { now, seen, settled } = await show(herald, () => useJob(id));
  await settled(() => now().cancel());
  expect(seen.flatMap((view) => view.job ?? []).map((job) => [job.state, job.version])).toEqual([
    ["running", 1],
    ["cancelling", 1],
    ["cancelling", 2],
  ]);

  const other = herald.addJob({ state: "running" });
  const failing = await show(herald, () => useJob(other.id));
  herald.fail("cancelJob");
  await failing.settled(() => expect(failing.now().cancel()).rejects.toMatchObject({ status: 503 }));
  expect(failing.seen.flatMap((view) => view.job?.state ?? [])).toEqual(["running", "cancelling", "running"]);

  await failing.settled(() => {
    const asked = failing.now().cancel();
    herald.report(other.id, { state: "succeeded" });
    return asked;
  });
  expect(failing.seen.map((view) => view.job?.state)).toContain("succeeded");
});

test("nobody asks after a job's end, or after a job that is not there", async () => {
  const herald = new FakeHerald();
  const { id } = herald.addJob({ state: "running" });
  const { now, settled } = await show(herald, () => useJob(id));
  await settled(() => {
    herald.report(id, { state: "succeeded", progress: 1 });
  });
  for (const stream of herald.streams) stream.lastEventId = "";
  await settled(() => {
    herald.cut();
    herald.connect();
  });
  expect(now().job?.state).toBe("succeeded");
  expect(callsOf(herald, "job")).toBe(1);
  await settled(() => herald.client.deleteJob(id));
  expect(now()).toMatchObject({ job: undefined, loading: false });
  const missing = await show(herald, () => useJob("nobody"));
  expect(missing.now()).toMatchObject({ job: undefined, loading: false, error: { status: 404 } });
});

test("in Strict Mode there is one stream, and one reading", async () => {
  const herald = new FakeHerald();
  const { id } = herald.addJob();
  const { now, toggle } = await show(herald, () => useJob(id), true);
  expect(now().job?.id).toBe(id);
  expect(callsOf(herald, "job")).toBe(1);
  expect([...herald.streams].filter((stream) => stream.state !== "closed")).toHaveLength(1);
  await toggle(false);
  await toggle(true);
  expect(callsOf(herald, "job")).toBe(2);
});

test("Parity_19: jobs come, go and move with the stream, as far as they match", async () => {
  const herald = new FakeHerald();
  const old = Array.from({ length: 3 }, () => herald.addJob({ kind: "video", state: "running" }));
  herald.addJob({ kind: "export" });
  const { now, settled } = await show(herald, () => useJobs({ kind: "video", state: "active", limit: 2 }));
  const ids = () => now().jobs.map((job) => job.id);
  expect(ids()).toEqual([old[2]?.id, old[1]?.id, old[0]?.id]); // the snapshot has all that are active
  expect(now()).toMatchObject({ loading: false, hasMore: true });
  await settled(() => now().more());
  expect(now().hasMore).toBe(false);
  let late: Job | undefined;
  await settled(() => {
    late = herald.addJob({ kind: "video", state: "running" });
    herald.addJob({ kind: "export" });
    herald.report(old[1]?.id ?? "", { state: "failed" });
    herald.report(late.id, { progress: 0.7 });
  });
  expect(ids()).toEqual([late?.id, old[2]?.id, old[0]?.id]);
  expect(now().jobs[0]?.progress).toBe(0.7);
  await settled(() => herald.client.deleteJob(late?.id ?? ""));
  expect(ids()).toEqual([old[2]?.id, old[0]?.id]);
  expect(callsOf(herald, "listJobs")).toBe(2);
});

test("a list that cannot be read says why, and is read when the stream begins anew", async () => {
  const herald = new FakeHerald();
  herald.addJob({ state: "succeeded" });
  herald.fail("listJobs");
  const { now, settled } = await show(herald, () => useJobs());
  expect(now()).toMatchObject({ loading: false, error: { status: 503 } });
  for (const stream of herald.streams) stream.lastEventId = "";
  await settled(() => {
    herald.cut();
    herald.connect();
  });
  expect(now()).toMatchObject({ error: undefined, jobs: [{ state: "succeeded" }] });
});

test("an upload tells how far it is and what came of it", async () => {
  const herald = new FakeHerald();
  const { now, settled, toggle } = await show(herald, () => useUpload());
  await settled(() => now().upload(new File(["moving"], "clip.mov")));
  expect(now()).toMatchObject({ status: "done", loaded: 6, artifact: { name: "clip.mov" } });
  herald.fail("upload");
  await settled(() => expect(now().upload(new File(["x"], "x"))).rejects.toMatchObject({ status: 503 }));
  expect(now()).toMatchObject({ status: "failed", error: { status: 503 } });
  await settled(() => {
    now().abort();
  });
  expect(now()).toMatchObject({ status: "idle", error: undefined });

  let signal: AbortSignal | undefined;
  herald.client.upload = (_, options) => {
    signal = options?.signal;
    options?.onProgress?.({ loaded: 2, total: 6 });
    return new Promise(() => undefined);
  };
  await settled(() => {
    void now().upload(new File(["moving"], "clip.mov"));
  });
  expect(now()).toMatchObject({ status: "uploading", loaded: 2, total: 6 });
  await toggle(false);
  expect(signal?.aborted).toBe(true);
});

test("presence is asked for again and again, not of somebody else before, and not after a refusal", async () => {
  const herald = new FakeHerald();
  const every = 20;
  const { now, seen, settled, change } = await show(herald, () => usePresence("alice", { every }));
  expect(now().presence?.online).toBe(true);
  await settled(() => vi.waitUntil(() => callsOf(herald, "presence") > 2));
  seen.length = 0;
  await change(() => usePresence("bob", { every }));
  expect(seen[0]).toEqual({ presence: undefined, error: undefined });
  expect(now().presence).toMatchObject({ user: "bob", online: false });
  herald.fail("presence", new HeraldError({ type: "about:blank", title: "No", status: 403 }));
  const before = callsOf(herald, "presence");
  await settled(() => vi.waitUntil(() => callsOf(herald, "presence") > before));
  expect(now().error).toMatchObject({ status: 403 });
  const asked = callsOf(herald, "presence");
  await settled(() => new Promise((resolve) => setTimeout(resolve, 5 * every)));
  expect(callsOf(herald, "presence")).toBe(asked);
});
