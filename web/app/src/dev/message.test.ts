import { expect, test } from "vitest";
import { messageOf, type MessageForm, snippet } from "./message";

const form: MessageForm = {
  target: "user",
  names: " alice ",
  type: "order.paid",
  data: '{"order": 7, "by": "it\'s `me`"}',
  metadata: "",
  ttl: "",
  key: "",
};

test("the form becomes a message, without what is empty", () => {
  expect(messageOf(form)).toEqual({ event: "order.paid", data: { order: 7, by: "it's `me`" }, to: { user: "alice" } });
  expect(messageOf({ ...form, target: "users", names: "alice, bob,", data: "" }).to).toEqual({
    users: ["alice", "bob"],
  });
  expect(messageOf({ ...form, target: "all", ttl: "1.5", metadata: '{"a":1}' })).toMatchObject({
    to: { all: true },
    ttl_ms: 1500,
    metadata: { a: 1 },
  });
});

test("a line for a shell holds its quotes", () => {
  expect(snippet("curl", "http://h:1", messageOf(form), "k'1")).toBe(
    String.raw`curl 'http://h:1/api/sse/message' \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Content-Type: application/json' \
  -H 'Idempotency-Key: k'\''1' \
  -d '{"event":"order.paid","data":{"order":7,"by":"it'\''s ` +
      "`me`" +
      String.raw`"},"to":{"user":"alice"}}'`,
  );
});

test("Go has the names of the client's package", () => {
  const message = messageOf({
    ...form,
    target: "channels",
    names: "a,b",
    data: '{"a": 1}',
    metadata: '{"t":"x"}',
    ttl: "2",
  });
  expect(snippet("Go", "", message, "k")).toBe(
    'published, err := client.Publish(ctx, herald.Message{\n\tEvent:    "order.paid",\n' +
      '\tData:     json.RawMessage(`{"a":1}`),\n\tMetadata: map[string]any{"t": "x"},\n\tTTLMS:    2000,\n' +
      '\tTo:       herald.ToChannels("a", "b"),\n\tKey:      "k",\n})\n',
  );
  expect(snippet("Go", "", messageOf({ ...form, target: "all" }), "")).toContain("herald.ToAll(),");
});

test("JavaScript is a call of fetch", () => {
  const text = snippet("JavaScript", "http://h:1", messageOf(form), "k");
  expect(text).toContain('fetch("http://h:1/api/sse/message", {');
  expect(text).toContain('    "Idempotency-Key": "k",\n    "Content-Type": "application/json",\n  },');
});
