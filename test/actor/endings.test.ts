import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, type Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import {
  fork,
  gate,
  handlers,
  inside,
  occupy,
  settle,
  single,
  Trace,
  watched,
  world,
} from "./support.ts"

const Kid = single("Kid", {
  restart: { intensity: 0, periodMs: 1, backoff: undefined, resetAfterMs: undefined },
})

/** What is logged, with its causes. */
const log = (): { readonly text: () => string; readonly layer: Layer.Layer<never> } => {
  const lines: Array<string> = []
  const logger = Logger.make<unknown, void>(({ cause, message }) => {
    lines.push([message].flat().join(" "), Cause.pretty(cause))
  })
  return { text: () => lines.join("\n"), layer: Logger.layer([logger]) }
}

describe("a crash that no restart follows", () => {
  it.effect("is logged with its cause when the actor is stopping", () => {
    const { layer, text } = log()
    return world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const go = gate()
        yield* occupy(a, Effect.andThen(go.wait, Effect.die("bug in the drain")))
        const stop = yield* watched(a.stop)
        yield* go.open
        yield* settle
        expect(stop()).toBe("ok")
        expect(text()).toContain('Actor "A" crashed while it was ending.')
        expect(text()).toContain("bug in the drain")
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("is logged when a cancelled handler dies while it cleans up", () => {
    const { layer, text } = log()
    return world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { concurrency: 2 })
        yield* a.tell.Run(Effect.onInterrupt(Effect.never, () => Effect.die("bug in a finalizer")))
        yield* a.tell.Run(Effect.andThen(Effect.yieldNow, Effect.die("first")))
        yield* settle
        expect(text()).toContain('Actor "A" crashed and is restarted (attempt 1).')
        expect(text()).toContain("bug in a finalizer")
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("is logged when a child used up its restarts while its parent was stopping", () => {
    const { layer, text } = log()
    return world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { grace: "1 second" })
        const go = gate()
        const crashing = Effect.as(
          Effect.addFinalizer(() => go.wait),
          handlers(new Trace()),
        )
        const b = yield* box("B")
        yield* a.ask.Run(inside((context) =>
          Effect.gen(function* () {
            const kid = yield* context.spawn(Kid, "kid", crashing)
            yield* Effect.orDie(
              b.tell.Run(Effect.ignore(kid.ask.Run(Effect.die("bug of a child")))),
            )
          })
        ))
        yield* settle
        const stop = yield* watched(a.stop)
        yield* settle
        yield* go.open
        yield* settle
        expect(stop()).toBe("ok")
        expect(text()).toContain("bug of a child")
      })
    ).pipe(Effect.provide(layer))
  })
})

describe("an asker whose message was running when the actor stopped", () => {
  it.effect("is told that it may have taken effect; who was not served is told that too", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { grace: "1 second" })
        const ran = yield* fork(Effect.flip(a.ask.Run(Effect.never, { timeout: "1 minute" })))
        const queued = yield* fork(Effect.flip(a.ask.Note("x", { timeout: "1 minute" })))
        const stop = yield* watched(a.stop)
        yield* TestClock.adjust("1 second")
        yield* settle
        expect(stop()).toBe("ok")
        expect(ran.pollUnsafe()).toMatchObject({ value: { _tag: "Stopped", started: true } })
        expect(ran.pollUnsafe()).toMatchObject({
          value: {
            message: 'Actor "A" stopped while it handled Run: whether that took effect is unknown.',
          },
        })
        expect(queued.pollUnsafe()).toMatchObject({ value: { _tag: "Stopped", started: false } })
      })
    ))
})
