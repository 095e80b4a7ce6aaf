import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import process from "node:process"
import { defineConfig } from "vitest/config"
import denoJson from "../deno.json" with { type: "json" }

const path = (relative: string) => fileURLToPath(new URL(`../${relative}`, import.meta.url))

/** Suites that take minutes; each has a task of its own and a folder of its own. */
const slow = ["crash", "soak"]
const suite = process.env["WEIR_TEST_SUITE"] ?? "fast"

export default defineConfig({
  root: path(""),
  // Vite does not read the import map of deno.json, so the package's own names are repeated here.
  resolve: {
    alias: Object.entries(denoJson.exports).map(([name, file]) => ({
      find: new RegExp(`^${name.replace(".", denoJson.name)}$`),
      replacement: path(file),
    })),
  },
  test: {
    include: suite === "fast" ? ["test/**/*.test.ts"] : [`test/${suite}/**/*.test.ts`],
    exclude: [
      "**/node_modules/**",
      ...(suite === "fast" ? slow.map((name) => `test/${name}/**`) : []),
    ],
    globalSetup: [path("test/support/globalSetup.ts")],
    // Threads and VM pools do not work on Deno.
    pool: "forks",
    // Vitest leaves one core to itself. Many files wait for processes and timers: two at a time at least.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    passWithNoTests: suite !== "fast",
    testTimeout: suite === "fast" ? 60_000 : 600_000,
    hookTimeout: 120_000,
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      reporter: ["text", "lcov"],
      reportsDirectory: path("coverage"),
    },
  },
})
