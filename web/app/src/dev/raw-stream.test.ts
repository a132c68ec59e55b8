import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { mostFrames, RawStream, streamPath } from "./raw-stream";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const question = { topics: [], types: [], metadata: [], cursor: "" };

/** A stream on a server that the test plays. */
async function open(cursor = "") {
  const asked: { path: string; headers: Record<string, string> }[] = [];
  let say!: (text: string) => Promise<void>;
  let end!: () => Promise<void>;
  const stream = new RawStream((path, init) => {
    asked.push({ path: path as string, headers: init?.headers as Record<string, string> });
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        say = async (text) => {
          controller.enqueue(new TextEncoder().encode(text));
          await vi.advanceTimersByTimeAsync(200);
        };
        end = async () => {
          controller.close();
          await vi.advanceTimersByTimeAsync(200);
        };
      },
    });
    return Promise.resolve(new Response(body));
  });
  stream.open({ ...question, cursor });
  await vi.advanceTimersByTimeAsync(0);
  return { stream, asked, say: (text: string) => say(text), end: () => end() };
}

test("frames come as they are, the newest first, and their last id is the cursor", async () => {
  const { stream, asked, say, end } = await open("41");
  expect(asked[0]).toMatchObject({ path: "/api/sse", headers: { "last-event-id": "41" } });
  await say('event: stream.open\ndata: {"client_id":"c1"}\n\n:\n\nid: 42\nevent: a.b\ndata: {}\n\n');
  expect(stream.view()).toMatchObject({ status: "open", lastId: "42", clientId: "c1" });
  expect(stream.view().frames.map((f) => f.lines[0])).toEqual(["id: 42", ":", "event: stream.open"]);
  await end();
  expect(stream.view()).toMatchObject({ status: "closed", why: "The server has ended the stream.", lastId: "42" });
});

test("paused, it shows what it showed, and loses nothing", async () => {
  const { stream, say } = await open();
  await say("data: 1\n\n");
  stream.pause(true);
  await say("data: 2\n\ndata: 3\n\n");
  expect(stream.view()).toMatchObject({ paused: 2, frames: [{ data: "1" }] });
  stream.pause(false);
  expect(stream.view().frames.map((f) => f.data)).toEqual(["3", "2", "1"]);
});

test("it keeps the newest frames alone", async () => {
  const { stream, say } = await open();
  await say(Array.from({ length: mostFrames + 5 }, (_, i) => `data: ${String(i)}\n\n`).join(""));
  expect(stream.view().frames).toHaveLength(mostFrames);
  expect(stream.view()).toMatchObject({ dropped: 5, frames: { 0: { data: String(mostFrames + 4) } } });
  await say(`data: ${"x".repeat(1_500_000)}\n\ndata: ${"y".repeat(1_500_000)}\n\n`);
  expect(stream.view().frames).toHaveLength(1);
  stream.clear();
  expect(stream.view()).toMatchObject({ frames: [], dropped: 0 });
});

test("a refusal says why, and one that was closed by hand says nothing", async () => {
  const refused = new RawStream(() =>
    Promise.resolve(new Response('{"title":"You may not do this","status":403}', { status: 403 })),
  );
  refused.open({ ...question, topics: ["user:bob"] });
  await vi.advanceTimersByTimeAsync(0);
  expect(refused.view()).toMatchObject({ status: "closed", why: "You may not do this" });
  const { stream } = await open();
  stream.close();
  await vi.advanceTimersByTimeAsync(200);
  expect(stream.view()).toMatchObject({ status: "closed", why: "" });
  expect(vi.getTimerCount()).toBe(0);
});

test("topics and filters go into the path", () => {
  expect(streamPath({ ...question, topics: ["all"], types: ["job.*"], metadata: ["team=a=b"] })).toBe(
    "/api/sse?topic=all&type=job.*&metadata.team=a%3Db",
  );
});
