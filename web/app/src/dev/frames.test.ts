import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Frame, FrameReader } from "./frames";

interface Case {
  name: string;
  chunks: string[];
  events: { id: string; event: string; data: string }[];
}

// The cases that the server and the client pass too.
const cases = JSON.parse(
  readFileSync(`${import.meta.dirname}/../../../../internal/sse/testdata/streams.json`, "utf8"),
) as Case[];

function read(pieces: Iterable<string>): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader((frame) => frames.push({ ...frame, at: 0 }));
  for (const piece of pieces) reader.push(piece);
  return frames;
}

test.each(cases)("$name: the frames have what the events say", ({ chunks, events }) => {
  const frames = read(chunks);
  const said = frames.filter((f) => f.data !== undefined).map((f) => ({ event: f.event ?? "message", data: f.data }));
  expect(said).toEqual(events.map(({ event, data }) => ({ event, data })));
});

test.each(cases)("$name: however it is cut, the frames are the same", ({ chunks }) => {
  const whole = chunks.join("");
  const frames = read([whole]);
  for (let cut = 0; cut <= whole.length; cut++) expect(read([whole.slice(0, cut), whole.slice(cut)])).toEqual(frames);
});

test("comments, ids and the time to wait are kept", () => {
  expect(read([": hello\n:\n\nretry: 300\n\nid: 7\nevent: a.b\ndata: {}\n\n"])).toMatchObject([
    { n: 1, comments: ["hello", ""], data: undefined },
    { n: 2, retry: "300" },
    { n: 3, id: "7", event: "a.b", data: "{}", lines: ["id: 7", "event: a.b", "data: {}"] },
  ]);
});

test("a frame that never ends is refused", () => {
  const reader = new FrameReader(() => undefined, 100);
  expect(() => {
    for (let i = 0; i < 20; i++) reader.push("data: 0123456789\n");
  }).toThrow("too long");
});
