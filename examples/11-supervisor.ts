/**
 * Goal: let it crash. A supervisor starts a worker again, by a rule, and gives up when it must.
 * Run: deno run examples/11-supervisor.ts
 */
import { Supervisor, Trace, VirtualClock } from "@weir/runtime"
import { Console, Effect, Logger } from "effect"

// Without a supervisor: a promise that nobody awaits dies, and nobody hears of it.
let polls = 0
const forgotten = (async () => {
  for (;; await Promise.resolve()) if (++polls === 3) throw new Error("connection lost")
})()
await Promise.allSettled([forgotten])
console.log(`forgotten: ${polls} polls, then silence`)

// Each start runs the effect anew. The first two die, the third holds.
let starts = 0
const poller = Effect.gen(function* () {
  starts++
  yield* Effect.addFinalizer(() => Console.log(`poller ${starts}: closes its connection`))
  yield* Console.log(`poller ${starts}: starts`)
  yield* Effect.sleep("5 millis")
  if (starts < 3) return yield* Effect.die(new Error("connection lost"))
  return yield* Effect.never
})

const cache = Effect.andThen(Console.log("cache: starts"), Effect.never)

const lucky = Effect.gen(function* () {
  const supervisor = yield* Supervisor.make({
    name: "workers",
    // Break it: strategy: "one-for-all",
    strategy: "one-for-one", // the cache is left alone
    children: [{ id: "cache", effect: cache }, { id: "poller", effect: poller }],
  })
  yield* Effect.sleep("100 millis")
  const { active, specs } = yield* supervisor.counts
  yield* Console.log(`workers: ${active} of ${specs} are running`)
}).pipe(Effect.scoped) // leaving the scope stops them, the youngest first

// A child that never holds: three restarts in five seconds, and the supervisor gives up.
let tries = 0
const broken = Effect.andThen(Effect.sync(() => ++tries), Effect.die(new Error("no such table")))
const hopeless = Supervisor.run({ name: "hopeless", children: [{ id: "broken", effect: broken }] })
  .pipe(
    Effect.catchTag(
      "SupervisorExhausted",
      ({ child, restarts }) =>
        Console.log(`hopeless: ${tries} tries, gave up on "${child}" after ${restarts} restarts`),
    ),
  )

await Effect.andThen(lucky, hopeless).pipe(
  // Without loggers: the log would tell of each crash.
  Effect.provide([VirtualClock.layer, Trace.layer(), Logger.layer([])]),
  Effect.runPromise,
)

// Output:
// forgotten: 3 polls, then silence
// cache: starts
// poller 1: starts
// poller 1: closes its connection
// poller 2: starts
// poller 2: closes its connection
// poller 3: starts
// workers: 2 of 2 are running
// poller 3: closes its connection
// hopeless: 4 tries, gave up on "broken" after 3 restarts

// Output when broken:
// …
// poller 1: starts
// poller 1: closes its connection
// cache: starts
// poller 2: starts
// poller 2: closes its connection
// cache: starts
// poller 3: starts
// …
