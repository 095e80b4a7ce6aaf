/**
 * Goal: 100 requests, a pool of 10, a query of 200 ms. Who is answered, who hears no, and how soon?
 * Run: deno run examples/12-pool-lab.ts
 */
import { Bulkhead, Deadline, Task, Trace, VirtualClock } from "@weir/runtime"
import { Clock, Console, Effect, Exit } from "effect"

type Pool = { capacity: number; queueCapacity?: number; margin?: number }
type Limit = <A>(request: Effect.Effect<A, unknown>) => Effect.Effect<A, unknown>

// Of all: answered; not answered, the last of them after; database time thrown away; all have ended
// after. Of those that were answered: mean wait, mean time, percentiles. Times in milliseconds.
const titles = ["ok", "no", "no by", "wasted", "last", "wait", "total", "p50", "p95", "p99"]
const row = (title: string, ...cells: Array<unknown>) =>
  Console.log(title.padEnd(24) + cells.map((cell) => `${cell}`.padStart(7)).join(""))

/**
 * All 100 come at once. Each waits in line for a slot of the pool, and holds it while its query runs.
 * A bulkhead is a pool of slots with a line before it; the rows differ in what is put around a request.
 */
const lab = Effect.fn("lab")(function* (title: string, options: Pool, limit: Limit) {
  // Break it: const known = {}
  const known = { expected: "200 millis" } as const // what the pool is told of the query
  const pool = yield* Bulkhead.make({ name: "db", queueCapacity: 100, ...known, ...options })
  const begin = yield* Clock.currentTimeMillis
  const now = Effect.map(Clock.currentTimeMillis, (now) => now - begin)

  let wasted = 0 // the time of queries that were cut off
  const query = Effect.flatMap(now, (start) =>
    Effect.sleep("200 millis").pipe(
      Effect.onInterrupt(() => Effect.map(now, (end) => wasted += end - start)),
    ))
  const [yes, no]: [Array<number>, Array<number>] = [[], []]
  const request = Effect.fn("request")(function* (n: number) {
    const exit = yield* Effect.exit(limit(Task.run(`request ${n + 1}`, pool.use(query))))
    ;(Exit.isSuccess(exit) ? yes : no).push(yield* now)
  })
  yield* Effect.forEach(Array(100).keys(), request, { concurrency: "unbounded" })

  const total = yes.reduce((sum, ms) => sum + ms) / yes.length
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((p) => yes[Math.ceil(p * yes.length) - 1])
  const counts = [yes.length, no.length, no.at(-1) ?? "-", wasted, Math.max(...yes, ...no)]
  yield* row(title, ...counts, total - 200, total, p50, p95, p99)
}, Effect.scoped)

const [ten, none]: [Pool, Limit] = [{ capacity: 10 }, (request) => request]
const program = Effect.gen(function* () {
  yield* row("", ...titles)
  // A timeout around it: the pool knows nothing of it, and starts what cannot end in time.
  yield* lab("A no limit", ten, none)
  yield* lab("B timeout 1000 ms", ten, Effect.timeout("1000 millis"))
  yield* lab("C timeout 1001 ms", ten, Effect.timeout("1001 millis"))
  yield* lab("D at most 20 wait", { ...ten, queueCapacity: 20 }, none)
  yield* lab("E pool of 20", { capacity: 20 }, none)
  // A deadline: the pool knows it, and who cannot be done by then hears no before it costs anything.
  yield* lab("F deadline 1001 ms", ten, Deadline.within("1001 millis"))
  yield* lab("G deadline 1000 ms", ten, Deadline.within("1000 millis"))
  yield* lab("H as G, margin 10 %", { ...ten, margin: 0.1 }, Deadline.within("1000 millis"))
})

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
//                              ok     no  no by wasted   last   wait  total    p50    p95    p99
// A no limit                  100      0      -      0   2000    900   1100   1000   2000   2000
// B timeout 1000 ms            40     60   1000   2000   1000    300    500    400    800    800
// C timeout 1001 ms            50     50   1001     10   1001    400    600    600   1000   1000
// D at most 20 wait            30     70      0      0    600    200    400    400    600    600
// E pool of 20                100      0      -      0   1000    400    600    600   1000   1000
// F deadline 1001 ms           50     50      0      0   1000    400    600    600   1000   1000
// G deadline 1000 ms           40     60   1000   2000   1000    300    500    400    800    800
// H as G, margin 10 %          40     60      0      0    800    300    500    400    800    800

// Output when broken:
// …
// F deadline 1001 ms           50     50    200      0   1000    400    600    600   1000   1000
// G deadline 1000 ms           40     60   1000   2000   1000    300    500    400    800    800
// H as G, margin 10 %          40     60   1000   2000   1000    300    500    400    800    800
