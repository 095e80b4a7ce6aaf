import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, References, Tracer } from "effect"
import { readFile } from "node:fs/promises"
import * as CancelReason from "../../src/task/CancelReason.ts"
import * as Spans from "../../src/telemetry/Spans.ts"
import { root } from "../support/tree.ts"

/** A tracer that keeps its spans; Effect's own span class does the rest. */
const recorder = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    },
  })
  return { spans, tracer }
}

const hasSpan = Effect.exit(Effect.currentSpan).pipe(Effect.map(Exit.isSuccess))

describe("Spans.withSpan", () => {
  it.effect("adds nothing and asks for nothing while there is no tracer", () =>
    Effect.gen(function* () {
      let asked = 0
      const options: Spans.Options = {
        attributes: () => ({ asked: asked++ }),
        cancelReason: () => {
          asked++
          return undefined
        },
      }
      const inside = Spans.withSpan("step", options)(hasSpan)
      expect(yield* inside).toBe(false)
      expect(yield* inside.pipe(Effect.provideService(Tracer.Tracer, Tracer.nativeTracer)))
        .toBe(false)
      expect(asked).toBe(0)
    }))

  it.effect("adds nothing where tracing is switched off", () =>
    Effect.gen(function* () {
      const { spans, tracer } = recorder()
      const inside = yield* Spans.withSpan("step")(hasSpan).pipe(
        Effect.provideService(References.TracerEnabled, false),
        Effect.provideService(Tracer.Tracer, tracer),
      )
      expect(inside).toBe(false)
      expect(spans).toEqual([])
    }))

  it.effect("makes a child of the current span with its attributes", () =>
    Effect.gen(function* () {
      const { spans, tracer } = recorder()
      const options: Spans.Options = { kind: "client", attributes: () => ({ rows: 3 }) }
      yield* Spans.withSpan("step", options)(Effect.void).pipe(
        Spans.withSpan("whole"),
        Effect.provideService(Tracer.Tracer, tracer),
      )
      const [whole, step] = spans
      expect([whole?.name, step?.name]).toEqual(["whole", "step"])
      expect(step?.parent).toMatchObject({ value: { spanId: whole?.spanId } })
      expect(step?.kind).toBe("client")
      expect(Object.fromEntries(step?.attributes ?? [])).toEqual({ rows: 3 })
      expect(step?.status._tag).toBe("Ended")
    }))

  it.effect("passes failures through unchanged", () =>
    Effect.gen(function* () {
      const { spans, tracer } = recorder()
      const error = yield* Effect.fail("no").pipe(
        Spans.withSpan("step", { cancelReason: () => CancelReason.Shutdown }),
        Effect.provideService(Tracer.Tracer, tracer),
        Effect.flip,
      )
      expect(error).toBe("no")
      expect(spans[0]?.attributes.has("weir.cancel.reason")).toBe(false)
    }))

  it.effect("marks the span of an interrupted effect with the reason", () =>
    Effect.gen(function* () {
      const { spans, tracer } = recorder()
      const running = yield* Deferred.make<void>()
      const fiber = yield* Deferred.succeed(running, undefined).pipe(
        Effect.andThen(Effect.never),
        Spans.withSpan("step", {
          cancelReason: () => CancelReason.Requested("operator", "too slow"),
        }),
        Effect.provideService(Tracer.Tracer, tracer),
        Effect.forkChild({ startImmediately: true }),
      )
      yield* Deferred.await(running)
      yield* Fiber.interrupt(fiber)
      expect(Object.fromEntries(spans[0]?.attributes ?? [])).toEqual({
        "weir.cancel.reason": "Requested",
        "weir.cancel.by": "operator",
        "weir.cancel.note": "too slow",
      })
      expect(spans[0]?.status._tag).toBe("Ended")
    }))
})

describe("Spans.annotateCancel", () => {
  const annotated = (reason: CancelReason.CancelReason) => {
    const { spans, tracer } = recorder()
    const statuses: Array<unknown> = []
    const mark = Effect.withFiber((fiber) => {
      // The shape of @effect/opentelemetry's span: OpenTelemetry's own is in `span`.
      Object.assign(fiber.cache.span!, { span: { setStatus: (_: unknown) => statuses.push(_) } })
      Spans.annotateCancel(fiber, reason)
      return Effect.void
    })
    return mark.pipe(
      Spans.withSpan("step"),
      Effect.provideService(Tracer.Tracer, tracer),
      Effect.as({ attributes: spans, statuses }),
      Effect.map(({ attributes, statuses }) => ({
        attributes: Object.fromEntries(attributes[0]?.attributes ?? []),
        statuses,
      })),
    )
  }

  it.effect.each([CancelReason.DeadlineExceeded(1), CancelReason.LeaseLost])(
    "makes a cancel that broke a promise an error: $_tag",
    (reason) =>
      Effect.gen(function* () {
        const { attributes, statuses } = yield* annotated(reason)
        expect(attributes).toEqual({
          "weir.cancel.reason": reason._tag,
          "error.type": reason._tag,
        })
        expect(statuses).toEqual([{ code: 2, message: reason._tag }])
      }),
  )

  it.effect.each([CancelReason.ClientAbort, CancelReason.Shutdown])(
    "leaves the status of a cancel that somebody wanted unset: $_tag",
    (reason) =>
      Effect.gen(function* () {
        const { attributes, statuses } = yield* annotated(reason)
        expect(attributes).toEqual({ "weir.cancel.reason": reason._tag })
        expect(statuses).toEqual([])
      }),
  )

  it.effect("says which parent or sibling it came from", () =>
    Effect.gen(function* () {
      const parent = yield* annotated(CancelReason.ParentEnded("request"))
      expect(parent.attributes).toMatchObject({ "weir.cancel.by": "request" })
      const sibling = yield* annotated(CancelReason.SiblingFailed("prices"))
      expect(sibling.attributes).toMatchObject({ "weir.cancel.by": "prices" })
      expect(sibling.statuses).toHaveLength(1)
    }))

  it.effect("does nothing without a span", () =>
    Effect.withFiber((fiber) => {
      expect(Spans.annotateCancel(fiber, CancelReason.Shutdown)).toBeUndefined()
      expect(fiber.cache.span).toBeUndefined()
      return Effect.void
    }))
})

describe("the table of spans", () => {
  it("is the one in docs/telemetry.md", async () => {
    const page = await readFile(`${root}/docs/telemetry.md`, "utf8")
    const rows = [
      ...page.matchAll(
        /^\| `([\w.{} ]+)` +\| (server|internal|consumer) +\| (.+?) +\| (.+?) +\|$/gm,
      ),
    ].map(([, name, kind, attributes, help]) => [name, kind, attributes, help])
    expect(rows).toEqual(Spans.table.map(({ name, kind, attributes, help }) => [
      name,
      kind,
      attributes.map((attribute) => `\`${attribute}\``).join(", "),
      help,
    ]))
  })
})
