import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

/** What a page loads of the client at most, in bytes. */
const most = 6000;

// `npm test` builds it before.
test("the built client stays small, and needs nothing besides itself", () => {
  const built = readFileSync(new URL("../dist/index.js", import.meta.url));
  expect(gzipSync(built, { level: 9 }).length).toBeLessThanOrEqual(most);
  // What sends files is loaded when a file is sent.
  const text = built.toString().replaceAll(/\bimport\(["'`]\.\/upload\.js["'`]\)/g, "");
  expect(/\bimport\b|\bfrom\s*["'`]/.exec(text)?.[0]).toBeUndefined();
});
