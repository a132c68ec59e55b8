import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as react from "./react/index.js";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const page = read("../../../docs/client.md");

test("the page shows the examples as they are run", () => {
  expect(page).toContain(`\`\`\`html\n${read("../examples/plain.html")}\`\`\``);
  expect(page).toContain(`\`\`\`tsx\n${read("../examples/jobs.test.tsx")}\`\`\``);
  expect(read("../README.md")).toContain(read("../examples/plain.html"));
});

test("the page and the README tell of every hook", () => {
  const hooks = Object.keys(react).filter((name) => name.startsWith("use"));
  expect(hooks.length).toBeGreaterThan(5);
  for (const hook of hooks) {
    expect(page).toContain(`### ${hook}(`);
    expect(read("../README.md")).toContain(`\`${hook}(`);
  }
});
