import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  build: {
    target: "es2023",
    lib: {
      entry: {
        index: "src/index.ts",
        react: "src/react/index.ts",
        testing: "src/testing/index.ts",
        upload: "src/upload.ts",
      },
      formats: ["es"],
    },
    // The other entries use the first by the package's name, so that there is only one of each class.
    rolldownOptions: { external: ["@herald/client", "react", "react/jsx-runtime"], output: { minify: true } },
    sourcemap: true,
  },
  test: {
    name: "client",
    include: ["src/**/*.test.{ts,tsx}", "examples/*.test.tsx"],
    alias: [{ find: /^@herald\/client$/, replacement: fileURLToPath(new URL("src/index.ts", import.meta.url)) }],
    restoreMocks: true,
    // Whatever else the machine is doing.
    testTimeout: 60_000,
  },
});
