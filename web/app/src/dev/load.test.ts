import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ask } from "./api";
import { bounds, DemoLoad, type LoadPlan, mostAtOnce, pace } from "./load";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

interface Report {
  readonly attempt: number;
  readonly state?: string;
  readonly progress?: number;
  readonly next_within_ms?: number;
}

/** The API, as far as a load uses it. */
class Server {
  readonly jobs = new Map<
    string,
    { state: string; attempt: number; reports: Report[]; body: Record<string, unknown> }
  >();
  most = 0;
  refusal = 0;

  readonly ask: typeof ask = (method, path, init) => {
    const [id = "", what = ""] = path.split("?")[0]?.split("/").slice(3) ?? [];
    const sent = JSON.parse(init?.body ?? "{}") as Record<string, unknown>;
    if (this.refusal > 0) return this.#answer(this.refusal, { title: "You may not do this" });
    if (method === "POST" && id === "") {
      const name = `job-${String(this.jobs.size)}`;
      this.jobs.set(name, { state: "running", attempt: 1, reports: [], body: sent });
      this.most = Math.max(this.most, this.active());
      return this.#answer(201, { id: name });
    }
    const job = this.jobs.get(id);
    if (job === undefined) return this.#answer(200, { jobs: [] });
    if (method === "DELETE") {
      if (job.state !== "gone" && !["succeeded", "failed", "cancelled"].includes(job.state))
        return this.#answer(409, {});
      job.state = "gone";
    } else if (what === "attempts") {
      job.attempt++;
      job.state = "running";
    } else {
      const [report] = sent["reports"] as [Report];
      job.reports.push(report);
      job.state = report.state ?? job.state;
    }
    return this.#answer(200, { state: job.state, attempt: job.attempt });
  };

  active(): number {
    return [...this.jobs.values()].filter((job) => job.state === "running" || job.state === "retrying").length;
  }

  states(): Set<string> {
    return new Set([...this.jobs.values()].map((job) => job.state));
  }

  #answer(status: number, json: unknown) {
    return Promise.resolve({ status, json, body: JSON.stringify(json) });
  }
}

const plan: LoadPlan = { rate: 5, jobs: 10, seconds: 60, failing: 0, stalling: 0, retrying: 0 };

function begin(change: Partial<LoadPlan> = {}, random = 0.5) {
  const server = new Server();
  const load = new DemoLoad(server.ask, () => random);
  load.start({ ...plan, ...change });
  return { server, load };
}

test("jobs come at the rate, go through their steps, and end", async () => {
  const { server, load } = begin();
  await vi.advanceTimersByTimeAsync(1000);
  expect(server.jobs.size).toBe(6); // at once, and then five times
  await vi.advanceTimersByTimeAsync(60_000);
  expect(load.view()).toMatchObject({ running: false, started: 10, active: 0, succeeded: 10, error: "" });
  const { reports, body } = server.jobs.get("job-0") ?? { reports: [], body: {} };
  expect(body).toMatchObject({ kind: "demo", external: true, start: true, max_attempts: 1 });
  const shares = reports.flatMap((report) => report.progress ?? []);
  expect(shares).toEqual([...shares].sort((a, b) => a - b));
  expect(reports.at(-1)).toMatchObject({ state: "succeeded" });
});

test.each([
  ["failing", { failed: 10, succeeded: 0 }],
  ["retrying", { retried: 10, succeeded: 10 }],
  ["stalling", { stalled: 10, succeeded: 10 }],
] as const)("the share that is %s is what it is to be", async (share, expected) => {
  const { server, load } = begin({ [share]: 1 });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(load.view()).toMatchObject({ started: 10, ...expected });
  const { reports } = server.jobs.get("job-0") ?? { reports: [] };
  if (share === "stalling") expect(reports.filter((r) => r.next_within_ms !== undefined)).toHaveLength(1);
  if (share === "retrying") expect(new Set(reports.map((r) => r.attempt))).toEqual(new Set([1, 2]));
});

test("it is bounded in number, in time, and in how much runs at once", async () => {
  const many = begin({ rate: 1e6, jobs: 1e6, seconds: 1e6 });
  await vi.advanceTimersByTimeAsync(20_000);
  expect(many.load.view()).toMatchObject({ running: false, started: bounds.mostJobs, active: 0 });
  expect(many.server.most).toBeLessThanOrEqual(mostAtOnce);
  const long = begin({ rate: 0, seconds: 1e6, jobs: 500 }, 1);
  await vi.advanceTimersByTimeAsync((bounds.mostSeconds + 30) * 1000);
  expect(long.load.view()).toMatchObject({ running: false, started: bounds.mostSeconds * bounds.leastRate });
  for (const rate of [0.5, 5, 50])
    expect((pace(rate).reports * pace(rate).every * rate) / 1000).toBeLessThanOrEqual(mostAtOnce);
});

test("stopped, it ends what is under way and begins nothing more", async () => {
  const { server, load } = begin({ rate: 10, jobs: 100 });
  await vi.advanceTimersByTimeAsync(1000);
  expect(server.active()).toBeGreaterThan(5);
  load.stop();
  await vi.advanceTimersByTimeAsync(1000);
  const started = server.jobs.size;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(server.jobs.size).toBe(started);
  expect(server.active()).toBe(0);
  expect(load.view()).toMatchObject({ running: false, active: 0 });
  expect(vi.getTimerCount()).toBe(0);
});

test("left, it removes what it has made", async () => {
  const { server, load } = begin({ rate: 10, jobs: 100 });
  await vi.advanceTimersByTimeAsync(1000);
  const removed = load.remove();
  await vi.advanceTimersByTimeAsync(10_000);
  await removed;
  expect(server.states()).toEqual(new Set(["gone"]));
  expect(load.view()).toMatchObject({ jobs: [], removing: false });
});

test("a page that is closed ends what is under way", async () => {
  const { server, load } = begin({ rate: 10, jobs: 100 });
  await vi.advanceTimersByTimeAsync(1000);
  load.abandon();
  expect(server.active()).toBe(0);
});

test("a refusal stops it, and is shown", async () => {
  const { server, load } = begin();
  await vi.advanceTimersByTimeAsync(500);
  server.refusal = 403;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(load.view()).toMatchObject({ running: false, error: "You may not do this" });
});

test("somebody else's cancellation is obeyed", async () => {
  const { server, load } = begin({ jobs: 1 });
  await vi.advanceTimersByTimeAsync(1000);
  const job = server.jobs.get("job-0");
  if (job !== undefined) job.state = "cancelling";
  await vi.advanceTimersByTimeAsync(60_000);
  expect(job?.reports.at(-1)).toMatchObject({ state: "cancelled" });
  expect(load.view()).toMatchObject({ cancelled: 1, succeeded: 0 });
});
