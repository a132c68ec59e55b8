import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const server = process.env["HERALD_ADDR"] ?? "127.0.0.1:8080";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  // public/.gitkeep is copied with each build, so that dist/.gitkeep, without which Go has nothing to embed, stays.
  server: { proxy: { "/api": `http://${server}` } },
  // Nothing is inlined: the server's Content-Security-Policy allows no data: but for images.
  build: { target: "es2023", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"], restoreMocks: true },
});
