import { readFileSync } from "node:fs";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const server = process.env["HERALD_ADDR"] ?? "127.0.0.1:8080";

/** What is served in development alone: the client as it is published, and an example that needs no more. */
const forDevelopers: Plugin = {
  name: "for-developers",
  generateBundle() {
    for (const [fileName, path] of [
      ["dev/herald-client.js", "../client/dist/index.js"],
      ["dev/example.html", "../client/examples/plain.html"],
    ] as const)
      this.emitFile({ type: "asset", fileName, source: readFileSync(new URL(path, import.meta.url)) });
  },
};

export default defineConfig({
  plugins: [react(), tailwindcss(), forDevelopers],
  // public/.gitkeep is copied with each build, so that dist/.gitkeep, without which Go has nothing to embed, stays.
  server: { proxy: { "/api": `http://${server}` } },
  // Nothing is inlined: the server's Content-Security-Policy allows no data: but for images.
  build: { target: "es2023", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"], restoreMocks: true, testTimeout: 60_000 },
});
