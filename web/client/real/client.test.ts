import {
  EventStream,
  type EventStreamOptions,
  HeraldClient,
  type HeraldError,
  type StreamEvent,
  type StreamState,
} from "@herald/client";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { Gate } from "../../app/e2e/gate.js";
import { Herald } from "./herald.js";

let herald: Herald;

beforeAll(async () => {
  herald = await Herald.up("--ack-interval", "1s");
});

afterAll(async () => {
  await herald.remove();
});

/** A worker that runs elsewhere, in alice's name. */
class Backend {
  readonly #at: Herald;
  readonly #token: string;

  constructor(at = herald) {
    this.#at = at;
    this.#token = at.token("shop", "--role", "backend");
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    const headers = { authorization: `Bearer ${this.#token}`, "content-type": "application/json" };
    const response = await fetch(`${this.#at.url}/api/${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    expect(response.ok, `${path}: ${String(response.status)}`).toBe(true);
    return (await response.json()) as T;
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#at.url}/api/${path}`, {
      headers: { authorization: `Bearer ${this.#token}` },
    });
    return (await response.json()) as T;
  }

  async job(owner: string): Promise<string> {
    return (await this.post<{ id: string }>("jobs", { kind: "test", title: "T", owner, external: true, start: true }))
      .id;
  }

  report(job: string, report: object): Promise<unknown> {
    return this.post(`jobs/${job}/reports`, { reports: [{ attempt: 1, ...report }] });
  }

  notify(user: string, team: string): Promise<unknown> {
    return this.post("sse/message", { event: "order.paid", data: { n: 1 }, metadata: { team }, to: { user } });
  }
}

/** Follows as the user, and notes what comes. */
function follow(user: string, change: Partial<EventStreamOptions> = {}, at = herald) {
  const events: StreamEvent[] = [];
  const states: StreamState[] = [];
  const errors: (HeraldError | undefined)[] = [];
  const token = at.token(user);
  const stream = new EventStream({
    url: `${at.url}/api/sse?conflate=off`,
    token: () => token,
    onEvent: (event) => events.push(event),
    onState: (state, error) => {
      states.push(state);
      errors.push(error);
    },
    ...change,
  });
  onTestFinished(() => {
    stream.close();
  });
  const types = () => events.map((event) => event.type);
  return {
    stream,
    events,
    states,
    errors,
    types,
    logged: () => events.flatMap((event) => ("seq" in event ? event : [])),
    came: (type: string, times = 1) =>
      vi.waitUntil(() => types().filter((t) => t === type).length >= times, { timeout: 60_000, interval: 20 }),
    became: (state: StreamState) => vi.waitUntil(() => states.includes(state), { timeout: 60_000, interval: 20 }),
  };
}

test("a job is followed from its beginning to its end, and once", async () => {
  const backend = new Backend();
  const f = follow("alice");
  await f.came("stream.snapshot");
  const id = await backend.job("alice");
  for (let i = 1; i <= 20; i++) await backend.report(id, { message: `report ${String(i)}` });
  await backend.report(id, { state: "succeeded" });
  await f.came("job.succeeded");
  expect(f.types()).toEqual([
    "stream.open",
    "stream.snapshot",
    "job.queued",
    "job.started",
    ...Array<string>(20).fill("job.message"),
    "job.succeeded",
  ]);
  const versions = f.logged().map((event) => (event.data as { version: number }).version);
  expect(versions).toEqual([...versions].sort((a, b) => a - b));
  expect(f.stream.state).toBe("live");
});

test("whatever becomes of the server, nothing is lost and nothing comes twice", async () => {
  const backend = new Backend();
  const f = follow("bob");
  await f.came("stream.snapshot");
  const id = await backend.job("bob");
  await backend.report(id, { message: "before" });
  await f.came("job.message");
  await herald.end("SIGKILL");
  await f.became("reconnecting");
  await herald.start("--ack-interval", "1s");
  for (let i = 0; i < 5; i++) await backend.report(id, { message: "after" });
  await backend.report(id, { state: "succeeded" });
  await f.came("job.succeeded");
  expect(f.types().filter((type) => type === "stream.snapshot")).toHaveLength(1);
  const seen = f.logged().map((event) => event.seq);
  const { events } = await backend.get<{ events: { seq: number }[] }>(`jobs/${id}/events`);
  expect(seen).toEqual(events.map((event) => event.seq));
});

test("filters, and a ticket for each connection", async () => {
  const backend = new Backend();
  const token = herald.token("carol");
  const client = new HeraldClient({ baseURL: herald.url, token: () => token });
  const tickets = vi.fn(() => client.ticket());
  const filters = { types: ["order.*"], metadata: { team: "red" } };
  const f = follow("carol", { ...filters, ticket: tickets, token: () => "none" }); // with a ticket, nothing else counts
  await f.came("stream.snapshot");
  await backend.notify("carol", "blue");
  await backend.job("carol");
  await backend.notify("carol", "red");
  await f.came("order.paid");
  expect(f.logged().map((event) => event.data)).toEqual([{ n: 1, metadata: { team: "red" } }]);
  expect(tickets).toHaveBeenCalledTimes(1);
});

test("when its token ends, a new one is asked for, and it goes on where it was", async () => {
  const backend = new Backend();
  const asked: boolean[] = [];
  const short = herald.token("dave", "--for", "4s");
  const long = herald.token("dave");
  const f = follow("dave", {
    token: (renew) => {
      asked.push(renew);
      return renew ? long : short;
    },
  });
  await f.came("stream.snapshot");
  const id = await backend.job("dave");
  await f.came("stream.open", 2);
  await backend.report(id, { state: "succeeded" });
  await f.came("job.succeeded");
  expect(f.types()).toContain("stream.expired");
  expect(asked.filter((renew) => renew)).toHaveLength(1); // acks ask too, for the one that there is
  expect(f.types().filter((type) => type === "job.started")).toHaveLength(1);
});

test.each([
  ["a token that is none", { token: () => "a.b.c" }, 401],
  ["another's topic", { topics: ["user:alice"] }, 403],
  ["a topic that is none", { topics: ["nothing at all"] }, 400],
] as const)("it gives up on %s, and says why", async (_, options, status) => {
  const f = follow("erin", options);
  await f.became("closed");
  expect(f.states).toEqual(["closed"]);
  expect(f.errors[0]).toMatchObject({ name: "HeraldError", status });
});

test("a cursor that is of no use is said to be none, and it begins anew", async () => {
  const backend = new Backend();
  const f = follow("frank", { lastEventId: "999999999" });
  await f.came("stream.snapshot");
  expect(f.events.find((event) => event.type === "stream.reset")?.data).toEqual({ reason: "cursor_ahead" });
  await backend.notify("frank", "red");
  await f.came("order.paid");
  expect(Number(f.stream.lastEventId)).toBeLessThan(999_999_999);
});

test("it says how far it has come", async () => {
  const backend = new Backend();
  const f = follow("grace");
  await f.came("stream.open");
  await backend.notify("grace", "red");
  await f.came("order.paid");
  const [open] = f.events;
  const client = open?.type === "stream.open" ? open.data.client_id : "";
  const seq = f.logged()[0]?.seq ?? 0;
  expect(seq).toBeGreaterThan(0);
  await vi.waitUntil(async () => (await backend.get<{ acked_seq: number }>(`connections/${client}`)).acked_seq >= seq, {
    timeout: 60_000,
    interval: 100,
  });
});

test("the calls of the client do what they say", async () => {
  const token = herald.token("heidi");
  const client = new HeraldClient({ baseURL: herald.url, token: () => token });
  expect(await client.session()).toMatchObject({ user: "heidi", roles: ["user"] });
  expect((await client.kinds()).kinds.map((kind) => kind.name)).toContain("video");
  const { id } = await client.startJob({
    kind: "video",
    title: "A test",
    args: { source: { test: { seconds: 60 } }, preset: "mp4-720p" },
  });
  expect((await client.listJobs({ state: "active" })).jobs.map((job) => job.id)).toEqual([id]);
  await expect(client.deleteJob(id)).rejects.toMatchObject({ status: 409, type: "/problems/not-ended" });
  await client.cancelJob(id);
  await vi.waitUntil(async () => (await client.job(id)).state === "cancelled", { timeout: 60_000, interval: 100 });
  expect((await client.jobEvents(id)).events.at(-1)?.type).toBe("job.cancelled");
  expect((await client.jobArtifacts(id)).artifacts).toEqual([]);
  await client.deleteJob(id);
  await expect(client.job(id)).rejects.toMatchObject({ status: 404 });
  expect(await client.presence("heidi")).toMatchObject({ user: "heidi", online: false });
});

test("a network that swallows everything is noticed by its silence, and nothing is lost nor comes twice", async () => {
  const quick = await Herald.up("--heartbeat", "1s");
  onTestFinished(() => quick.remove());
  const gate = await Gate.to(new URL(quick.url).host);
  onTestFinished(() => gate.end());
  const backend = new Backend(quick);
  const f = follow("judy", { url: `http://${gate.address}/api/sse?conflate=off` }, quick);
  await f.came("stream.snapshot");
  const id = await backend.job("judy");
  await backend.report(id, { message: "before" });
  await f.came("job.message");
  gate.hold();
  for (let i = 0; i < 5; i++) await backend.report(id, { message: "meanwhile" });
  await f.became("reconnecting");
  await backend.report(id, { state: "succeeded" });
  expect(f.types().filter((type) => type === "job.message")).toHaveLength(1);
  gate.release();
  await f.came("job.succeeded");
  expect(f.types().filter((type) => type === "stream.snapshot")).toHaveLength(1);
  const { events } = await backend.get<{ events: { seq: number }[] }>(`jobs/${id}/events`);
  expect(f.logged().map((event) => event.seq)).toEqual(events.map((event) => event.seq));
});
