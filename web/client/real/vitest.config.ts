import { defineConfig } from "vitest/config";

// These tests run the program that 'make build' has built, and the client as Node finds it: built too.
export default defineConfig({
  test: { name: "real", include: ["*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 },
});
