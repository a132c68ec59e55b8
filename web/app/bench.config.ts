import { defineConfig } from "@playwright/test";
import tests from "./playwright.config";

/** Measures what the page costs and how soon it shows what happens: `npm run bench`. It prints figures and judges none. */
export default defineConfig({
  ...tests,
  testDir: "bench",
  testMatch: "*.bench.ts",
  testIgnore: [],
  timeout: 600_000,
  fullyParallel: false,
  workers: 1,
  reporter: [["list"]],
});
