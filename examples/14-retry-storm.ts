/**
 * Goal: retries must not make it worse. A service is slow for 3 seconds: when is it well again?
 * Run: deno run examples/14-retry-storm.ts
 */
import { Dependency, Task, Trace, VirtualClock } from "@weir/runtime"
import { Clock, Console, Effect, Exit, Fiber, Random, Semaphore } from "effect"

/** How an attempt is made, and made again. */
type Call = (attempt: Effect.Effect<void>) => Effect.Effect<void, unknown>

const seconds = 20
const calls = 625 // one every 32 ms
const bars = (counts: Array<number>) =>
  counts.slice(0, seconds).map((count) => "·▁▂▃▄▅▆▇█"[Math.ceil(count / 12)]).join("")
const row = (title: string, sent: string, good: string, end: string) =>
  Console.log(title.padEnd(18) + sent.padEnd(22) + good.padEnd(22) + end)

/** Calls for 20 s; counts how many attempts each second sent, and how many of its calls succeeded. */
const storm = Effect.fn("storm")(function* (title: string, call: Call) {
  const begin = yield* Clock.currentTimeMillis
  const second = Effect.map(Clock.currentTimeMillis, (now) => Math.floor((now - begin) / 1000))
  const [sent, good] = [Array<number>(seconds + 2).fill(0), Array<number>(seconds).fill(0)]

  // The service: 5 workers, a line without end, slow from 3 to 6 s. It does 50 calls a second, also for
  // callers that have given up: nobody tells it.
  const service = yield* Effect.scope
  const workers = yield* Semaphore.make(5)
  const work = Effect.flatMap(second, (at) => Effect.sleep(at >= 3 && at < 6 ? 1000 : 100))
  const attempt = Effect.gen(function* () {
    sent[yield* second]!++
    yield* Fiber.join(yield* Effect.forkIn(workers.withPermit(work), service))
  })
  const caller = Effect.fn("caller")(function* (n: number) {
    yield* Effect.sleep(n * 32)
    const at = yield* second
    const task = Task.run(`call ${n + 1}`, call(attempt), { deadline: "2 seconds" })
    if (Exit.isSuccess(yield* Effect.exit(task))) good[at]!++
  })
  yield* Effect.forEach(Array(calls).keys(), caller, { concurrency: "unbounded" })

  const times = sent.slice(3).reduce((sum, count) => sum + count) / (calls * 17 / seconds)
  const well = good.findLastIndex((count) => count < 30) + 1
  const again = well < seconds ? `${well - 6} s` : "never"
  yield* row(title, bars(sent), bars(good), `${times.toFixed(1)} x`.padEnd(10) + again)
}, Effect.scoped)

const program = Effect.gen(function* () {
  yield* row("", "sent, each second", "answered in time", "per call  well again after")
  const once: Call = (attempt) => Effect.timeout(attempt, "500 millis")
  yield* storm("no retries", once)
  yield* storm("up to 3 attempts", (attempt) => Effect.retry(once(attempt), { times: 2 }))

  // Up to 3 as well, after random waits, and no more than one retry for 5 calls. The rest is off.
  // Break it: const budget = { ratio: 1, minimum: 1000 }
  const budget = { ratio: 0.2, minimum: 3 }
  const retries = { timeout: "500 millis", idempotent: true, budget } as const
  const off = { limit: 10_000, breaker: false, throttle: false } as const
  const alone = yield* Dependency.make({ name: "retries alone", ...retries, ...off })
  yield* storm("jitter and budget", alone.call)

  // With the rest, as a dependency has it by default: a limit that adapts, a breaker, a throttle.
  const whole = yield* Dependency.make({ name: "whole", ...retries })
  yield* storm("and the rest", whole.call)
}).pipe(Effect.scoped, Random.withSeed("weir"))

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
//                   sent, each second     answered in time      per call  well again after
// no retries        ▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃  ▃▃▃······▃▃▃▃▃▃▃▃▃▃▃  1.0 x     4 s
// up to 3 attempts  ▃▃▃▄████████████████  ▃▃▃·················  3.0 x     never
// jitter and budget ▃▃▃▄▅▄▄▄▄▃▃▃▃▃▃▃▃▃▃▃  ▃▃▃·········▁▃▃▃▃▃▃▃  1.1 x     7 s
// and the rest      ▃▃▃▂▂▂▂▄▃▃▃▃▃▃▃▃▃▃▃▃  ▃▃▃··▁▁▃▃▃▃▃▃▃▃▃▃▃▃▃  0.9 x     1 s

// Output when broken:
// …
// jitter and budget ▃▃▃▄████████████████  ▃▃▃·················  3.0 x     never
// …
