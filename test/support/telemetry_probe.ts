/**
 * Run by `test/telemetry/Export.test.ts` in a process of its own: builds and closes the export, then
 * prints which packages of OpenTelemetry the process has loaded and how long closing took.
 */
import { Effect, Logger } from "effect"
import { createRequire } from "node:module"
import * as Export from "../../src/telemetry/Export.ts"
import * as Spans from "../../src/telemetry/Spans.ts"

const work = Effect.log("hello").pipe(Spans.withSpan("work"))
const startedAt = performance.now()
await Effect.runPromise(work.pipe(
  Effect.provide(Export.layer({ flushTimeout: "500 millis" })),
  Effect.provide(Logger.layer([])),
))
// OpenTelemetry's packages are CommonJS, so whichever was loaded is in this cache.
const loaded = Object.keys(createRequire(import.meta.url).cache)
  .filter((file) => file.includes("@opentelemetry"))
const protobuf = loaded.filter((file) => file.includes("-otlp-proto"))
console.log(JSON.stringify({
  loaded: loaded.length,
  protobuf: protobuf.length,
  tookMs: performance.now() - startedAt,
}))
