import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { exampleOf, membersOf, type Schema } from "./schemas";

// What the server checks notifications by.
const schemas = JSON.parse(
  readFileSync(`${import.meta.dirname}/../../../../internal/event/notifications.json`, "utf8"),
) as Record<string, Schema>;

test.each(Object.entries(schemas))("the example of %s has what it needs, and fits", (_, schema) => {
  const example = exampleOf(schema);
  for (const name of schema.required ?? []) {
    const { enum: words, pattern, type } = schema.properties?.[name] ?? {};
    if (type === "string") expect(typeof example[name]).toBe("string");
    if (words !== undefined) expect(words).toContain(example[name]);
    if (pattern !== undefined) expect(example[name]).toMatch(new RegExp(pattern));
  }
  expect(Object.keys(example).filter((name) => !(name in (schema.properties ?? {})))).toEqual([]);
});

test("members are told, but for those with a field of their own", () => {
  expect(membersOf(schemas["notification.account"] ?? {})).toEqual({
    needed: ["user_id", "action"],
    others: ["details", "message"],
  });
});
