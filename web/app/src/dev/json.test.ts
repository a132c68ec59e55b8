import { expect, test } from "vitest";
import { readJson, readObject } from "./json";

test.each([
  ['{"a": 1,}', 1, 8, "No comma"],
  ['{"a": 1\n "b": 2}', 2, 2, "A comma or }"],
  ["{\n  a: 1\n}", 2, 3, "A name in double quotes"],
  ['{"a" 1}', 1, 6, "A colon"],
  ["[1, 2", 1, 6, "A comma or ]"],
  ["{\"a\": 'x'}", 1, 7, "double quotes"],
  ['{"a": "x\n"}', 1, 9, "does not end"],
  ['["\\x"]', 1, 3, "no escape"],
  ["[01]", 1, 2, "not a value"],
  ["[nul]", 1, 2, "not a value"],
  ["1 2", 1, 3, "behind"],
  ["", 1, 1, "A value is missing"],
  ["[".repeat(1000), 1, 202, "too deeply"],
])("what is wrong with %j is said where it is", (text, line, column, message) => {
  expect(readJson(text)).toMatchObject({
    problem: { line, column, message: expect.stringContaining(message) as string },
  });
});

test("what is JSON is read, and is an object where it has to be one", () => {
  const text = ' {"a": [1.5e3, -0, true, null, "\\u00fc\\n"], "b": {}} ';
  expect(readJson(text)).toEqual({ value: { a: [1500, -0, true, null, "ü\n"], b: {} } });
  expect(readObject(text)).toHaveProperty("value");
  expect(readObject("\n[1]")).toMatchObject({ problem: { line: 2, column: 1 } });
  expect(readObject("null")).toHaveProperty("problem");
});
