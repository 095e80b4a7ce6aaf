/**
 * Goes round so many times without ever stopping, and writes by how many bytes of heap each round has
 * grown it, once garbage is collected. `FIXTURE_ROUNDS`; `FIXTURE_LOOP`: `forever` (`Task.forever`), `actor`
 * (one that always has a message) or `plain` (`Effect.forever`). Needs `--v8-flags=--expose-gc`.
 */
import { Deferred, Effect } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Task } from "../../../src/index.ts"

const rounds = Number(Deno.env.get("FIXTURE_ROUNDS"))
const loop = Deno.env.get("FIXTURE_LOOP")!
/** Compiled code, pools and what is made once are there by then. */
const warm = 20_000

const { gc } = globalThis as unknown as { gc: () => void }

/** Full collections, with turns of the event loop between them for what is released there. */
const heap = Effect.promise(async () => {
  for (let i = 0; i < 3; i++) {
    gc()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  gc()
  return Deno.memoryUsage().heapUsed
})

/** Waits for a turn of the event loop and for a promise, as work does. */
const suspended = Effect.andThen(Effect.yieldNow, Effect.promise(() => Promise.resolve()))

const Step = Rpc.make("Step")
const Busy = Actor.single("Busy", [Step])

const program = Effect.gen(function* () {
  const done = yield* Deferred.make<void>()
  let before = 0
  let after = 0
  let n = 0
  const round = Effect.suspend(() => {
    n++
    if (n === warm) return Effect.map(heap, (bytes) => void (before = bytes))
    if (n !== warm + rounds) {
      // Tables of the runtime stay as large as what was garbage between two collections.
      return n % 5000 === 0 ? Effect.asVoid(heap) : suspended
    }
    return Effect.andThen(
      Effect.map(heap, (bytes) => void (after = bytes)),
      Deferred.succeed(done, undefined),
    )
  })
  if (loop === "actor") {
    const BusyLive = Busy.toLayer(Effect.gen(function* () {
      const self = yield* Busy.self
      // Two of them, so that one waits while the other is handled.
      yield* self.tell.Step()
      yield* self.tell.Step()
      const next = Effect.suspend(() =>
        n < warm + rounds ? Effect.ignore(self.tell.Step()) : Effect.void
      )
      return { Step: () => Effect.andThen(round, next) }
    }))
    yield* Deferred.await(done).pipe(Effect.provide(BusyLive), Effect.provide(ActorSystem.layer()))
  } else {
    const forever = loop === "forever" ? Task.forever(round) : Effect.forever(round)
    yield* Effect.raceFirst(forever, Deferred.await(done))
  }
  yield* Effect.sync(() => console.log((after - before) / rounds))
})

await Effect.runPromise(program)
