import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { HeraldError } from "./error.js";
import { EventStream, type StreamState } from "./stream.js";
import { Server, stubPage } from "./testing.js";
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
