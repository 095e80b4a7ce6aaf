/**
 * Weir's actors, with the defaults that a service has, but for what a workload needs: room for all
 * residents, restarts without limit.
 */
import { Effect, Layer, Logger, ManagedRuntime, Schema } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../../../src/actor/Actor.ts"
import * as ActorSystem from "../../../src/actor/ActorSystem.ts"
import { restart } from "../../../src/task/restarts.ts"
import { asks, contended, type Counter, restarts, tells } from "./drive_effect.ts"
import {
  CAPACITY,
  Handled,
  type Job,
  population,
  queuedAt,
  Restarts,
  type Run,
  type Workload,
} from "./shared.ts"

const Add = Rpc.make("Add", { payload: { count: Schema.Int }, success: Schema.Int })
const Slow = Rpc.make("Slow", { payload: { count: Schema.Int }, success: Schema.Int })
const Crash = Rpc.make("Crash")

const Counters = Actor.make("Counter", [Add, Slow], { mailbox: { capacity: CAPACITY } })

const layerOf = (handled: Handled, stopped?: () => void) =>
  Counters.toLayer(
    Effect.gen(function* () {
      let sum = 0
      if (stopped !== undefined) yield* Effect.addFinalizer(() => Effect.sync(stopped))
      const add = (count: number) =>
        Effect.sync(() => {
          sum += count
          handled.hit()
          return sum
        })
      return Counters.of({
        Add: ({ payload }) => add(payload.count),
        Slow: ({ payload }) =>
          Effect.andThen(Effect.promise(() => Promise.resolve()), add(payload.count)),
      })
    }),
    { residents: 100_000 },
  ).pipe(Layer.provideMerge(ActorSystem.layer()))

/** As a request handler would: it looks the actor up for every message. */
const counterOf = Effect.map(Counters.client, (counter): Counter => ({
  tell: (count) => counter("a").tell.Add({ count }),
  ask: (count) => counter("a").ask.Add({ count }),
}))
const slowCounterOf = Effect.map(Counters.client, (counter): Counter => ({
  tell: (count) => counter("a").tell.Slow({ count }),
  ask: (count) => counter("a").ask.Slow({ count }),
}))

const run = <A>(
  of: typeof counterOf,
  program: (counter: Counter, handled: Handled) => Effect.Effect<A, unknown>,
): Promise<A> => {
  const handled = new Handled()
  return Effect.runPromise(
    Effect.flatMap(of, (counter) => program(counter, handled)).pipe(
      Effect.provide(layerOf(handled)),
    ),
  )
}

const populated = (job: Job) =>
  population(job, async (size, finalizers) => {
    let stopped = 0
    const runtime = ManagedRuntime.make(
      layerOf(new Handled(), finalizers ? () => stopped++ : undefined),
    )
    const counter = await runtime.runPromise(Counters.client)
    return {
      start: () =>
        runtime.runPromise(Effect.gen(function* () {
          for (let i = 0; i < size; i++) yield* counter(`a${i}`).ask.Add({ count: 1 })
        })),
      stop: async () => {
        await runtime.dispose()
        return stopped
      },
    }
  })

const Fragile = Actor.make("Fragile", [Add, Crash], {
  mailbox: { capacity: CAPACITY },
  restart: restart({ intensity: Infinity }),
})

const restarted = (workload: keyof typeof queuedAt, job: Job) => {
  const seen = new Restarts()
  const layer = Fragile.toLayer(Effect.sync(() => {
    seen.begin()
    let sum = 0
    return Fragile.of({
      Add: ({ payload }) =>
        Effect.sync(() => {
          seen.message()
          return sum += payload.count
        }),
      Crash: () =>
        Effect.sync(() => {
          seen.crash()
          throw new Error("crash")
        }),
    })
  })).pipe(Layer.provideMerge(ActorSystem.layer()))
  const program = Effect.gen(function* () {
    const fragile = yield* Fragile.client
    return yield* restarts(
      {
        tell: (count) => fragile("a").tell.Add({ count }),
        crash: Effect.suspend(() => fragile("a").tell.Crash()),
      },
      seen,
      queuedAt[workload],
      job,
    )
  })
  // Writing the line of each restart is the logger's work, and would be most of the time.
  return Effect.runPromise(program.pipe(Effect.provide(layer), Effect.provide(Logger.layer([]))))
}

export const runs: Partial<Record<Workload, Run>> = {
  "tell": (job) => run(counterOf, (counter, handled) => tells(counter, handled, job)),
  "ask": (job) => run(counterOf, (counter) => asks(counter, job)),
  "contended": (job) => run(counterOf, (counter) => contended(counter, job)),
  "contended-suspending": (job) => run(slowCounterOf, (counter) => contended(counter, job)),
  "population": populated,
  "restart": (job) => restarted("restart", job),
  "restart-queued": (job) => restarted("restart-queued", job),
}
