import { expect, test } from "vitest";
import { clientOf, paceOf, reasonOf, topicsOf } from "./streams";

const stream = { opened_seq: 10, written_seq: 12, acked_seq: 12, seen_seq: 12, acked_at: "t", visible: true };

test.each([
  [{ written_seq: 10 }, "Nothing sent yet"],
  [{ written_seq: 0 }, "Nothing sent yet"],
  [{ acked_at: null, acked_seq: 0 }, "Sent; the client does not say whether it arrived"],
  [{ acked_seq: 11 }, "Behind: at #11 of #12"],
  [{ seen_seq: 11, visible: false }, "Arrived, on a page that is hidden"],
  [{ seen_seq: 11 }, "Arrived"],
  [{}, "Arrived and seen"],
])("%j: %s", (change, want) => {
  expect(paceOf({ ...stream, ...change }).text).toBe(want);
});

test.each([
  [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36",
    "Chrome 140 on Linux",
  ],
  [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Safari 18 on macOS",
  ],
  ["Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox 130 on Windows"],
  [
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36 Edg/130.0",
    "Edge 130 on Windows",
  ],
  ["curl/8.5.0", "curl/8.5.0"],
  ["", "Unknown client"],
])("%s", (agent, want) => {
  expect(clientOf(agent)).toBe(want);
});

test("an end that somebody asked for says who", () => {
  expect(reasonOf({ closed_why: "disconnected", close_asked_by: "root" })).toBe("root ended it");
  expect(reasonOf({ closed_why: "slow", close_asked_by: "root" })).toBe("The client took less than came");
  expect(reasonOf({ closed_why: "new_reason", close_asked_by: "" })).toBe("new_reason");
});

test("its own topic is not what it follows", () => {
  expect(topicsOf({ id: "c1", topics: ["user:ann", "all", "client:c1", "client:c2"] })).toEqual([
    "user:ann",
    "all",
    "client:c2",
  ]);
});
