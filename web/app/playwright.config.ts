import { defineConfig } from "@playwright/test";

/** What is mostly a wait goes beside the others. */
const waiting = "minute.spec.ts";

export default defineConfig({
  testDir: "e2e",
  // SCREENS=1 takes the screenshots of the documentation anew.
  timeout: 240_000,
  expect: { timeout: 20_000 },
  // Each test runs a Herald, a Postgres and a Chromium; two cores carry one of each, and another that only waits.
  workers: 2,
  projects: [
    {
      name: "browser",
      testIgnore: [waiting, ...(process.env["SCREENS"] === "1" ? [] : ["screens.spec.ts"])],
      workers: 1,
    },
    { name: "waiting", testMatch: waiting, workers: 1 },
  ],
  reporter: [["list"]],
  use: {
    viewport: { width: 1200, height: 900 },
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run"],
    },
  },
});
