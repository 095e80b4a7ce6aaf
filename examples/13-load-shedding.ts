/**
 * Goal: refuse early. More comes than can be done, up to 3 times: how much is answered in time?
 * Run: deno run examples/13-load-shedding.ts
 */
import { Bulkhead, Deadline, Task, Trace, VirtualClock } from "@weir/runtime"
import { Clock, Console, Effect, Exit, Random } from "effect"

type Limit = <A>(request: Effect.Effect<A, unknown>) => Effect.Effect<A, unknown>

// For 5 seconds. The pool does 50 a second: 10 slots, and a query takes 200 ms on average.
const [seconds, perSecond] = [5, 50]

/** Who comes when, and how long each query takes: by chance, but the same in every run. */
const arrivals = Effect.fn("arrivals")(function* (load: number) {
  const all: Array<{ at: number; takes: number }> = []
  for (let at = 0; at < seconds * 1000;) {
    at -= Math.log(yield* Random.next) * 1000 / (perSecond * load)
    all.push({ at, takes: yield* Random.nextBetween(100, 300) })
  }
  return all
}, Random.withSeed("weir"))

/** Clients come whether others have been answered or not, and are gone after a second. */
const serve = Effect.fn("serve")(function* (load: number, limit: Limit) {
  const room = { queueCapacity: 10_000, maxWait: "1 hour" } as const
  const pool = yield* Bulkhead.make({ name: "db", capacity: 10, expected: "200 millis", ...room })
  const count = { good: 0, late: 0, no: 0 }
  const client = Effect.fn("client")(function* ({ at, takes }: { at: number; takes: number }) {
    yield* Effect.sleep(at)
    const begin = yield* Clock.currentTimeMillis
    const exit = yield* Effect.exit(limit(Task.run("request", pool.use(Effect.sleep(takes)))))
    const took = (yield* Clock.currentTimeMillis) - begin
    count[took === 0 ? "no" : Exit.isSuccess(exit) && took <= 1000 ? "good" : "late"]++
  })
  yield* Effect.forEach(yield* arrivals(load), client, { concurrency: "unbounded" })
  return count
}, Effect.scoped)

const each = (count: number) => Math.round(count / seconds)
/** Answers in time, each second; a block stands for 5 of them. */
const bar = (good: number) => `${each(good)} ${"█".repeat(each(good) / 5)}`.padEnd(18)

const program = Effect.gen(function* () {
  yield* Console.log("load   no limit          timeout 1 s       deadline 1 s")
  for (const load of [0.5, 1, 1.5, 2, 3]) {
    const none = yield* serve(load, (request) => request)
    // The pool knows nothing of a timeout. What it starts has waited for almost a second.
    const timeout = yield* serve(load, Effect.timeout("1 second"))
    // It knows a deadline: whose turn would come too late hears so before it waits.
    // Break it: const deadline = yield* serve(load, Deadline.within("1 minute"))
    const deadline = yield* serve(load, Deadline.within("1 second"))
    const bars = [none, timeout, deadline].map(({ good }) => bar(good)).join("")
    yield* Console.log(`${load} x`.padEnd(7) + bars.trimEnd())
    if (load < 3) continue
    for (const [name, it] of Object.entries({ "no limit": none, timeout, deadline })) {
      const [good, late, no] = [it.good, it.late, it.no].map(each)
      yield* Console.log(`3 x, ${name}: ${good} in time, ${late} too late, ${no} refused at once`)
    }
  }
})

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
// load   no limit          timeout 1 s       deadline 1 s
// 0.5 x  24 ████           24 ████           24 ████
// 1 x    48 █████████      48 █████████      48 █████████
// 1.5 x  29 █████          36 ███████        56 ███████████
// 2 x    19 ███            21 ████           55 ███████████
// 3 x    14 ██             14 ██             55 ███████████
// 3 x, no limit: 14 in time, 140 too late, 0 refused at once
// 3 x, timeout: 14 in time, 139 too late, 0 refused at once
// 3 x, deadline: 55 in time, 2 too late, 96 refused at once

// Output when broken:
// …
// 3 x    14 ██             14 ██             14 ██
// 3 x, no limit: 14 in time, 140 too late, 0 refused at once
// 3 x, timeout: 14 in time, 139 too late, 0 refused at once
// 3 x, deadline: 14 in time, 140 too late, 0 refused at once
