import { defineConfig } from "vitest/config";

export default defineConfig({
  build: {
    target: "es2023",
    lib: {
      entry: { index: "src/index.ts" },
      formats: ["es"],
    },
    rolldownOptions: { external: ["react", "react/jsx-runtime"], output: { minify: true } },
    sourcemap: true,
  },
  test: { name: "client", include: ["src/**/*.test.{ts,tsx}"], restoreMocks: true, testTimeout: 60_000 },
});
