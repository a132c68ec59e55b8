import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { HeraldError } from "./error.js";
import { EventStream, type EventStreamOptions, type StreamState } from "./stream.js";
import { Server, stubPage } from "./fake-server.js";
import type { StreamEvent } from "./wire.js";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

interface Followed {
  server: Server;
  stream: EventStream;
  seqs: number[];
  types: string[];
  states: StreamState[];
  errors: (HeraldError | undefined)[];
}

async function follow(server = new Server(), topics?: string[]): Promise<Followed> {
  const seqs: number[] = [];
  const types: string[] = [];
  const states: StreamState[] = [];
  const errors: (HeraldError | undefined)[] = [];
  const stream = new EventStream({
    url: "/api/sse",
    ...(topics === undefined ? {} : { topics }),
    fetch: server.fetch,
    onEvent: (event: StreamEvent) => {
      types.push(event.type);
      if ("seq" in event) seqs.push(event.seq);
    },
    onState: (state, error) => {
      states.push(state);
      errors.push(error);
    },
  });
  await vi.advanceTimersByTimeAsync(0);
  return { server, stream, seqs, types, states, errors };
}

test("it is live when the server has said so, not before", async () => {
  const { server, stream, states } = await follow();
  expect(stream.state).toBe("connecting");
  await server.last.open();
  expect(states).toEqual(["live"]);
  stream.close();
  expect(stream.state).toBe("closed");
});

test("topics go into the address", async () => {
  const { server, stream } = await follow(new Server(), ["user:demo", "all"]);
  expect(server.last.url).toBe("/api/sse?topic=user%3Ademo&topic=all");
  stream.close();
});

test("it resumes after the last event, and drops what comes again", async () => {
  const { server, stream, seqs, states } = await follow();
  expect(server.last.headers["last-event-id"]).toBeUndefined();
  await server.last.open();
  await server.last.snapshot(4);
  await server.last.event(5);
  await server.last.event(6);
  await server.last.cut();
  await vi.advanceTimersByTimeAsync(300);
  expect(server.connections).toHaveLength(2);
  expect(server.last.headers["last-event-id"]).toBe("6");
  await server.last.open();
  await server.last.event(6);
  await server.last.event(7);
  expect(seqs).toEqual([5, 6, 7]);
  expect(states).toEqual(["live", "reconnecting", "live"]);
  stream.close();
});

test("a snapshot's id is a cursor", async () => {
  const { server, stream } = await follow();
  await server.last.open();
  await server.last.snapshot(42);
  await server.last.cut();
  await vi.advanceTimersByTimeAsync(300);
  expect(server.last.headers["last-event-id"]).toBe("42");
  stream.close();
});

test("after a reset, lower seqs count again", async () => {
  const { server, stream, seqs } = await follow();
  await server.last.open();
  await server.last.event(100);
  await server.last.send('event: stream.reset\ndata: {"reason":"cursor_ahead"}\n\n');
  await server.last.snapshot(3);
  await server.last.event(4);
  expect(seqs).toEqual([100, 4]);
  expect(stream.lastEventId).toBe("4");
  stream.close();
});

test("a connection that says nothing is taken for dead", async () => {
  const { server, stream, states } = await follow();
  await server.last.open(2000);
  await vi.advanceTimersByTimeAsync(4000);
  expect(states).toEqual(["live"]);
  await server.last.send(":\n\n");
  await vi.advanceTimersByTimeAsync(4000);
  expect(states).toEqual(["live"]);
  await vi.advanceTimersByTimeAsync(2000);
  expect(states.slice(0, 2)).toEqual(["live", "reconnecting"]);
  await vi.advanceTimersByTimeAsync(500);
  expect(server.connections.length).toBeGreaterThan(1);
  stream.close();
});

test("a server that is closing says when to come back", async () => {
  const { server, stream } = await follow();
  await server.last.open();
  await server.last.send('retry: 3000\n\nevent: stream.closing\ndata: {"retry_ms":3000}\n\n');
  await server.last.end();
  await vi.advanceTimersByTimeAsync(2900);
  expect(server.connections).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(200);
  expect(server.connections).toHaveLength(2);
  stream.close();
});

test.each([400, 401, 403])("it gives up on %i", async (status) => {
  const server = new Server();
  server.refuse = status;
  const { stream, states, errors } = await follow(server);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(states).toEqual(["closed"]);
  expect(errors[0]).toMatchObject({ status });
  stream.close();
});

test("it gives up when its token has expired", async () => {
  const { server, stream, states, types } = await follow();
  await server.last.open();
  await server.last.send("event: stream.expired\ndata: {}\n\n");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(types).toEqual(["stream.open", "stream.expired"]);
  expect(states).toEqual(["live", "closed"]);
  expect(server.connections).toHaveLength(1);
  stream.close();
});

test("a server that is away is asked less and less often", async () => {
  const server = new Server();
  server.refuse = 503;
  let asked = 0;
  const count = ((...args: Parameters<typeof fetch>) => {
    asked++;
    return server.fetch(...args);
  }) as typeof fetch;
  vi.spyOn(Math, "random").mockReturnValue(1);
  const stream = new EventStream({ url: "/api/sse", fetch: count, onEvent: () => undefined });
  await vi.advanceTimersByTimeAsync(4000); // at 0, 250, 750, 1750, 3750 ms
  expect(asked).toBe(5);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toBeLessThan(12);
  stream.close();
});

test("a server that lets in and cuts at once is asked less and less often too", async () => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  const { server, stream } = await follow();
  for (const wait of [250, 500, 1000]) {
    await server.last.open();
    await server.last.cut();
    const tries = server.connections.length;
    await vi.advanceTimersByTimeAsync(wait - 1);
    expect(server.connections).toHaveLength(tries);
    await vi.advanceTimersByTimeAsync(1);
    expect(server.connections).toHaveLength(tries + 1);
  }
  await server.last.open();
  await vi.advanceTimersByTimeAsync(15_000);
  await server.last.cut();
  await vi.advanceTimersByTimeAsync(250);
  expect(server.connections).toHaveLength(5);
  stream.close();
});

test("a wait too long for a timer is a long one", async () => {
  const { server, stream } = await follow();
  await server.last.open();
  await server.last.send("retry: 99999999999999999999\n\n");
  await server.last.end();
  await vi.advanceTimersByTimeAsync(24 * 3600 * 1000);
  expect(server.connections).toHaveLength(1);
  stream.close();
});

test("what a handler throws is an uncaught error, and breaks nothing", async () => {
  const server = new Server();
  const seqs: number[] = [];
  const stream = new EventStream({
    url: "/api/sse",
    fetch: server.fetch,
    onEvent: (event) => {
      if ("seq" in event) seqs.push(event.seq);
      if ("seq" in event && event.seq === 1) throw new Error("a mistake on the page");
    },
  });
  await vi.advanceTimersByTimeAsync(0);
  await server.last.open();
  await expect(server.last.event(1)).rejects.toThrow("a mistake on the page");
  await server.last.event(2);
  expect(seqs).toEqual([1, 2]);
  expect(stream.state).toBe("live");
  stream.close();
});

test("without a network it is offline at once, and comes back with it", async () => {
  const page = stubPage();
  const { server, stream, states } = await follow();
  await server.last.open();
  await server.last.event(8);
  server.refuse = 503;
  await page.setOnline(false);
  expect(states).toEqual(["live", "offline"]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(states).toEqual(["live", "offline"]);

  server.refuse = 0;
  await page.setOnline(true);
  expect(states).toEqual(["live", "offline", "reconnecting"]);
  expect(server.last.headers["last-event-id"]).toBe("8");
  await server.last.open();
  expect(stream.state).toBe("live");
  stream.close();
});

test("a network that comes back does not disturb a connection that never broke", async () => {
  const page = stubPage();
  const { server, stream, states } = await follow();
  await server.last.open();
  await page.setOnline(true);
  expect(states).toEqual(["live"]);
  expect(server.connections).toHaveLength(1);
  stream.close();
});

test.each(["setVisible", "show"] as const)("a page that wakes from sleep looks at once (%s)", async (wake) => {
  vi.spyOn(Math, "random").mockReturnValue(0);
  const page = stubPage();
  const { server, stream, states } = await follow();
  await server.last.open();
  await server.last.event(8);
  await page.setVisible(false);
  // Asleep, no timer runs.
  vi.setSystemTime(Date.now() + 3_600_000);
  await page[wake](true);
  expect(states).toEqual(["live", "reconnecting"]);
  expect(server.connections).toHaveLength(2);
  expect(server.last.headers["last-event-id"]).toBe("8");
  stream.close();
});

test("a page that is looked at again waits no longer", async () => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  const page = stubPage();
  const { server, stream } = await follow();
  server.refuse = 503;
  await server.last.cut();
  await vi.advanceTimersByTimeAsync(60_000);
  server.refuse = 0;
  await page.setVisible(false);
  expect(server.connections).toHaveLength(1);
  await page.setVisible(true);
  expect(server.connections).toHaveLength(2);
  stream.close();
});

test("closed, it leaves nothing behind", async () => {
  const { server, stream, seqs } = await follow();
  await server.last.open();
  stream.close();
  await server.last.event(1).catch(() => undefined);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(seqs).toEqual([]);
  expect(server.connections).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
});

/** A stream with the options, on a server that the test plays. */
async function begin(options: Partial<EventStreamOptions>, server = new Server()) {
  const events: StreamEvent[] = [];
  const stream = new EventStream({
    url: "/api/sse",
    fetch: server.fetch,
    onEvent: (event) => events.push(event),
    ...options,
  });
  await vi.advanceTimersByTimeAsync(0);
  return { server, stream, events };
}

test("filters go into the address, behind what stands there", async () => {
  const { server, stream } = await begin({
    url: "/api/sse?session=one",
    types: ["job.*", "notification.payment"],
    metadata: { tenant: "a b", region: ["eu", "us"] },
  });
  expect(server.last.url).toBe(
    "/api/sse?session=one&type=job.*&type=notification.payment&metadata.tenant=a+b&metadata.region=eu&metadata.region=us",
  );
  stream.close();
});

test("each connection has a ticket of its own", async () => {
  let tickets = 0;
  const { server, stream } = await begin({ topics: ["all"], ticket: () => `t&${String(++tickets)}` });
  await server.last.cut();
  await vi.advanceTimersByTimeAsync(300);
  expect(server.connections.map((c) => c.url)).toEqual([
    "/api/sse?topic=all&ticket=t%261",
    "/api/sse?topic=all&ticket=t%262",
  ]);
  stream.close();
});

test("a token that is refused is asked for again, once", async () => {
  const server = new Server();
  server.refuse = 401;
  const token = vi.fn((renew: boolean) => {
    if (renew) server.refuse = 0;
    return renew ? "new" : "old";
  });
  const { stream } = await begin({ token }, server);
  expect(token.mock.calls).toEqual([[false], [true]]);
  expect(server.last.headers["authorization"]).toBe("Bearer new");
  stream.close();

  const refused = new Server();
  refused.refuse = 401;
  const asked: boolean[] = [];
  const closed = vi.fn();
  await begin({ token: (renew) => String(asked.push(renew)), onState: closed }, refused);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toEqual([false, true]);
  expect(closed.mock.calls).toMatchObject([["closed", { name: "HeraldError", status: 401 }]]);
});

test("when its token has expired it comes back with a new one, from where it was", async () => {
  const token = vi.fn((renew: boolean) => (renew ? "new" : "old"));
  const { server, stream } = await begin({ token });
  await server.last.open();
  await server.last.event(5);
  await server.last.send("event: stream.expired\ndata: {}\n\n");
  await vi.advanceTimersByTimeAsync(300);
  expect(server.last.headers).toMatchObject({ authorization: "Bearer new", "last-event-id": "5" });
  await server.last.open();
  expect(stream.state).toBe("live");
  stream.close();
});

test("a connection that breaks is not made anew before the time that the server has set", async () => {
  vi.spyOn(Math, "random").mockReturnValue(0);
  const { server, stream } = await begin({});
  await server.last.send("retry: 2000\n");
  await server.last.open();
  await server.last.cut();
  await vi.advanceTimersByTimeAsync(1999);
  expect(server.connections).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(server.connections).toHaveLength(2);
  stream.close();
});

test.each([
  ["freeze", "resume"],
  ["leave", "show"],
] as const)("a page that sleeps has no connection, and catches up when it is back (%s, %s)", async (sleep, wake) => {
  const page = stubPage();
  const { server, stream } = await begin({});
  await server.last.open();
  await server.last.event(7);
  await page[sleep]();
  expect(stream.state).toBe("reconnecting");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(server.connections).toHaveLength(1);
  await page[wake]();
  expect(server.connections).toHaveLength(2);
  expect(server.last.headers["last-event-id"]).toBe("7");
  stream.close();
});

test("what comes with the event at which it is closed is not handed on", async () => {
  const server = new Server();
  const seqs: number[] = [];
  const stream: EventStream = new EventStream({
    url: "/api/sse",
    fetch: server.fetch,
    onEvent: (event) => {
      if ("seq" in event) seqs.push(event.seq);
      stream.close();
    },
  });
  await vi.advanceTimersByTimeAsync(0);
  const [one, two] = [1, 2].map((seq) => `event: job.step\ndata: {"seq":${String(seq)}}\n\n`);
  await server.last.send(`${one ?? ""}${two ?? ""}`);
  expect(seqs).toEqual([1]);
});

test("a stream for while the page is visible has no connection while it is hidden, and goes on where it was", async () => {
  const page = stubPage();
  const { server, stream, events } = await begin({ whileVisible: true });
  await server.last.open();
  await server.last.event(7);
  await page.setVisible(false);
  await page.resume(); // behind another tab
  await page.setOnline(true);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(server.connections).toHaveLength(1);
  expect(stream.state).toBe("reconnecting");
  await page.setVisible(true);
  expect(server.connections).toHaveLength(2);
  expect(server.last.headers["last-event-id"]).toBe("7");
  await server.last.open(15_000, { resumed: true });
  await server.last.event(8);
  expect(events.flatMap((event) => ("seq" in event ? event.seq : []))).toEqual([7, 8]);
  expect(stream.state).toBe("live");
  stream.close();
});

test("a tab that is opened behind others connects once it is shown; without a page, at once", async () => {
  const page = stubPage();
  await page.setVisible(false);
  const { server, stream } = await begin({ whileVisible: true });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(server.connections).toHaveLength(0);
  await page.setVisible(true);
  expect(server.connections).toHaveLength(1);
  stream.close();
  vi.unstubAllGlobals();
  const program = await begin({ whileVisible: true });
  expect(program.server.connections).toHaveLength(1);
  program.stream.close();
});
