import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { EventStream, type EventStreamOptions } from "./stream.js";
import { type Connection, Server, stubPage } from "./fake-server.js";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const interval = 10_000;

function begin(connection: Connection, client = "c", more: object = {}): Promise<void> {
  return connection.open(3_600_000, { client_id: client, ack_ms: interval, ...more });
}

/** A stream that the server has let in, and what went wrong with its acks. */
async function follow(options: Partial<EventStreamOptions> = {}, open: object = {}) {
  const server = new Server();
  const errors: unknown[] = [];
  const stream = new EventStream({
    url: "/api/sse",
    fetch: server.fetch,
    onEvent: () => undefined,
    onAckError: (err) => errors.push(err),
    ...options,
  });
  await vi.advanceTimersByTimeAsync(0);
  await begin(server.last, "c", open);
  return { server, stream, errors, said: () => server.acks.map((a) => a.body) };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test("it says what was handled, at the interval that the server tells, news or not", async () => {
  stubPage();
  const { server, stream, said } = await follow({ headers: () => ({ authorization: "Bearer x" }) });
  await server.last.event(4);
  await server.last.event(5);
  await pass(interval - 1);
  expect(said()).toEqual([]);
  await pass(1);
  expect(said()).toEqual([{ client_id: "c", seq: 5, visible: true }]);
  expect(server.acks[0]).toMatchObject({
    url: "/api/sse/ack",
    init: { headers: { authorization: "Bearer x", "content-type": "application/json" } },
  });
  await pass(2 * interval);
  expect(said().map((a) => a.seq)).toEqual([5, 5, 5]);
  stream.close();
});

test("what a snapshot says is handled with it", async () => {
  const { server, stream, said } = await follow({ url: "/api/sse?session=one" });
  await server.last.snapshot(42);
  await pass(interval);
  expect(said()).toEqual([{ client_id: "c", seq: 42, visible: false }]);
  expect(server.acks[0]?.url).toBe("/api/sse/ack");
  stream.close();
});

test("what a handler threw at is received, not handled", async () => {
  const { server, stream, said } = await follow({
    onEvent: (event) => {
      if ("seq" in event && event.seq === 2) throw new Error("a mistake on the page");
    },
  });
  await server.last.event(1);
  await expect(server.last.event(2)).rejects.toThrow("a mistake on the page");
  await pass(interval);
  await server.last.event(3);
  await pass(interval);
  expect(said().map((a) => a.seq)).toEqual([1, 3]);
  stream.close();
});

test.each([
  ["the server does not ask", {}, { ack_ms: 0 }],
  ["the server knows of no acks", {}, { ack_ms: undefined }],
  ["it is switched off", { acknowledge: false }, {}],
])("it says nothing when %s", async (_, options, open) => {
  const page = stubPage();
  const { server, stream } = await follow(options, open);
  await page.setVisible(false);
  await server.last.event(1);
  await page.setVisible(true);
  await page.leave();
  await pass(10 * interval);
  expect(server.acks).toEqual([]);
  stream.close();
});

test("without a page nobody sees anything, unless visible says so", async () => {
  let visible = true;
  const { server, stream, said } = await follow({ visible: () => visible });
  await server.last.event(1);
  await pass(interval);
  visible = false;
  await pass(interval);
  expect(said().map((a) => a.visible)).toEqual([true, false]);
  stream.close();

  const other = await follow();
  await pass(interval);
  expect(other.said()).toEqual([{ client_id: "c", seq: 0, visible: false }]);
  other.stream.close();
});

test("what came while the page was hidden is seen at once when it is shown", async () => {
  const page = stubPage();
  const { server, stream, said } = await follow();
  await page.setVisible(false);
  await server.last.event(1);
  await pass(interval);
  expect(said()).toEqual([{ client_id: "c", seq: 1, visible: false }]);
  await pass(interval / 2);
  await page.setVisible(true);
  expect(said()[1]).toEqual({ client_id: "c", seq: 1, visible: true });

  await pass(interval / 2);
  await page.setVisible(false);
  await page.setVisible(true); // nothing came meanwhile
  expect(server.acks).toHaveLength(2);
  await pass(interval / 2);
  expect(server.acks).toHaveLength(3);
  stream.close();
});

test("it says nothing more often than once a second", async () => {
  const page = stubPage();
  const { server, stream } = await follow({}, { ack_ms: 1 });
  for (let seq = 1; seq <= 100; seq++) {
    await page.setVisible(false);
    await server.last.event(seq);
    await page.setVisible(true);
    await page.leave();
    await page.show();
    await begin(server.last, "c", { ack_ms: 1, resumed: true });
    await pass(100);
  }
  const at = server.acks.map((a) => a.at);
  expect(at.length).toBeGreaterThan(8);
  expect(at.slice(1).filter((time, i) => time - (at[i] ?? 0) < 1000)).toEqual([]);
  stream.close();
});

test("one is under way at a time, and what is shown meanwhile is said after it", async () => {
  const page = stubPage();
  const { server, stream, said } = await follow();
  let answer: (response: Response) => void = () => undefined;
  server.answerAck = () => new Promise((resolve) => (answer = resolve));
  await page.setVisible(false);
  await server.last.event(1);
  await pass(interval);
  await page.setVisible(true);
  await server.last.event(2);
  await pass(5000);
  expect(server.acks).toHaveLength(1);
  answer(new Response(null, { status: 204 }));
  await pass(0);
  expect(said()[1]).toEqual({ client_id: "c", seq: 2, visible: true });
  stream.close();
});

test("an answer that never comes is not waited for without end", async () => {
  const { server, stream, errors } = await follow();
  server.answerAck = () => new Promise(() => undefined);
  await pass(interval + 14_999);
  expect(errors).toEqual([]);
  await pass(1);
  expect(errors).toMatchObject([{ name: "TimeoutError" }]);
  await pass(interval);
  expect(server.acks).toHaveLength(2);
  stream.close();
});

test("a page that goes away says the last, by a request that outlives it", async () => {
  const page = stubPage();
  const { server, stream, said } = await follow();
  await server.last.event(1);
  await page.leave();
  expect(said()).toEqual([{ client_id: "c", seq: 1, visible: true }]);
  expect(server.acks[0]?.init.keepalive).toBe(true);
  await pass(2000);
  await page.leave(); // with nothing new
  expect(server.acks).toHaveLength(1);
  stream.close();
});

test.each(["the last", "one under way"])(
  "the stream's end does not take %s along when the page goes away",
  async (what) => {
    const page = stubPage();
    const { server, stream } = await follow();
    server.answerAck = () => new Promise(() => undefined);
    await server.last.event(1);
    if (what === "one under way") await pass(interval + 2000);
    await server.last.event(2);
    await page.leave();
    await server.last.cut();
    expect(server.acks).toHaveLength(1);
    expect(server.acks[0]?.init.signal?.aborted).toBe(false);
    stream.close();
  },
);

test("a page that comes back goes on with its stream", async () => {
  const page = stubPage();
  const { server, stream, said } = await follow();
  await server.last.event(1);
  await page.leave();
  await page.show();
  await begin(server.last, "c", { resumed: true });
  await server.last.event(2);
  await pass(interval);
  expect(said().map((a) => a.seq)).toEqual([1, 2]);
  stream.close();
});

test("an interval of less than a second is one", async () => {
  const { server, stream } = await follow({}, { ack_ms: 1 });
  await pass(999);
  expect(server.acks).toEqual([]);
  await pass(1);
  expect(server.acks).toHaveLength(1);
  stream.close();
});

test.each([
  ["refused", () => new Response("{}", { status: 503 }), { status: 503 }],
  ["ahead", () => new Response("{}", { status: 409 }), { status: 409 }],
  ["lost", () => Promise.reject(new TypeError("no network")), { message: "no network" }],
])("one that is %s is forgotten, and the next makes up for it", async (_, answer, error) => {
  const { server, stream, errors } = await follow();
  server.answerAck = answer;
  await server.last.event(1);
  await pass(interval);
  expect(errors).toMatchObject([error]);
  server.answerAck = () => new Response(null, { status: 204 });
  await pass(interval);
  expect(server.acks).toHaveLength(2);
  expect(stream.state).toBe("live");
  stream.close();
});

test("once its stream is gone it says nothing until the next begins", async () => {
  const page = stubPage();
  const { server, stream, errors, said } = await follow();
  server.answerAck = () => new Response("{}", { status: 404 });
  await server.last.event(1);
  await pass(interval);
  expect(errors).toMatchObject([{ status: 404 }]);
  await page.leave();
  await page.setVisible(true);
  await pass(5 * interval);
  expect(server.acks).toHaveLength(1);

  server.answerAck = () => new Response(null, { status: 204 });
  await begin(server.last, "d");
  await server.last.event(2);
  await pass(interval);
  expect(said()[1]).toEqual({ client_id: "d", seq: 2, visible: true });
  stream.close();
});

test("nothing is said of a stream that has ended, and the next stands where it was", async () => {
  const page = stubPage();
  const { server, stream, errors, said } = await follow();
  server.answerAck = () => new Promise(() => undefined);
  await server.last.event(7);
  await pass(interval);
  server.refuse = 503;
  await server.last.cut();
  expect(server.acks[0]?.init.signal?.aborted).toBe(true);
  await page.leave();
  await page.setVisible(true);
  await pass(5 * interval);
  expect(server.acks).toHaveLength(1);
  expect(errors).toEqual([]);

  server.refuse = 0;
  await pass(15_000);
  await begin(server.last, "d", { resumed: true });
  await pass(interval);
  expect(said()[1]).toEqual({ client_id: "d", seq: 7, visible: true });
  await begin(server.last, "e");
  await pass(interval);
  expect(said()[2]).toEqual({ client_id: "e", seq: 0, visible: true });
  stream.close();
});

test("headers that come after the end of the stream send nothing", async () => {
  let give: (headers: Record<string, string>) => void = () => undefined;
  let asked = 0;
  const { server, stream } = await follow({
    headers: () => (++asked === 1 ? {} : new Promise((resolve) => (give = resolve))),
  });
  await pass(interval);
  expect(asked).toBe(2);
  stream.close();
  give({});
  await pass(interval);
  expect(server.acks).toEqual([]);
});

test.each([
  ["between two", () => new Response(null, { status: 204 })],
  ["with one under way", () => new Promise<Response>(() => undefined)],
])("closed %s, it leaves nothing behind", async (_, answer) => {
  const page = stubPage();
  const { server, stream, errors } = await follow();
  server.answerAck = answer;
  await server.last.event(1);
  await pass(interval);
  stream.close();
  await server.last.event(2).catch(() => undefined);
  expect(vi.getTimerCount()).toBe(0);
  await page.leave();
  await page.setVisible(true);
  await pass(5 * interval);
  expect(server.acks).toHaveLength(1);
  expect(errors).toEqual([]);
});
