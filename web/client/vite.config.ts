import { defineConfig } from "vitest/config";

export default defineConfig({
  build: { target: "es2023", lib: { entry: "src/index.ts", formats: ["es"], fileName: "index" }, sourcemap: true },
  test: { name: "client", include: ["src/**/*.test.ts"], restoreMocks: true },
});
