import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "e2e",
  // SCREENS=1 takes the screenshots of the documentation anew.
  testIgnore: process.env["SCREENS"] === "1" ? [] : "screens.spec.ts",
  timeout: 240_000,
  expect: { timeout: 20_000 },
  // Each test has a Herald, a Postgres and a context of its own, so they may run side by side.
  fullyParallel: true,
  workers: "100%", // of the cores
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
