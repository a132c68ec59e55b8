import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { EventTooLongError, type ServerSentEvent, SSEParser } from "./sse.js";

interface Case {
  name: string;
  chunks: string[];
  events: ServerSentEvent[];
  retry?: number;
}

// The server's writer and reader pass the same cases.
const cases = JSON.parse(
  readFileSync(new URL("../../../internal/sse/testdata/streams.json", import.meta.url), "utf8"),
) as Case[];

function parse(pieces: Iterable<string>): { events: ServerSentEvent[]; retry: number | undefined } {
  const events: ServerSentEvent[] = [];
  let retry: number | undefined;
  const parser = new SSEParser({
    onEvent: (event) => events.push(event),
    onRetry: (ms) => {
      retry = ms;
    },
  });
  for (const piece of pieces) parser.push(piece);
  return { events, retry };
}

test.each(cases)("$name", ({ chunks, events, retry }) => {
  expect(parse(chunks)).toEqual({ events, retry });
});

test.each(cases)("$name, however it is cut", ({ chunks, events }) => {
  const whole = chunks.join("");
  expect(parse(whole).events).toEqual(events);
  for (let cut = 0; cut <= whole.length; cut++) {
    expect(parse([whole.slice(0, cut), whole.slice(cut)]).events).toEqual(events);
  }
});

test("an event that never ends is refused", () => {
  const parser = new SSEParser({ onEvent: () => undefined, onRetry: () => undefined }, 100);
  expect(() => {
    parser.push("data: " + "x".repeat(200));
  }).toThrow(EventTooLongError);
  const lines = new SSEParser({ onEvent: () => undefined, onRetry: () => undefined }, 100);
  expect(() => {
    lines.push("data: 0123456789\n".repeat(20));
  }).toThrow(EventTooLongError);
});
