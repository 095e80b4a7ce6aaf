/**
 * The workloads, for subjects whose messages are effects: each message is a step of a program.
 */
import { Effect } from "effect"
import {
  ASKERS,
  askFigures,
  ASKS,
  asksDone,
  CAPACITY,
  Durations,
  type Handled,
  type Job,
  Meter,
  type Restarts,
  tellFigures,
  verify,
} from "./shared.ts"

/** A counter, as its users see it. */
export interface Counter {
  readonly tell: (count: number) => Effect.Effect<unknown, unknown>
  /** Adds, and answers with the sum. */
  readonly ask: (count: number) => Effect.Effect<number, unknown>
}

export const tells = Effect.fnUntraced(function* (counter: Counter, handled: Handled, job: Job) {
  const meter = new Meter()
  let sent = 0
  while (meter.spent < job.seconds) {
    handled.expect(CAPACITY)
    for (let i = 0; i < CAPACITY; i++) yield* counter.tell(1)
    if (!handled.done) yield* Effect.promise(handled.all)
    sent += CAPACITY
  }
  const figures = tellFigures(meter, sent)
  verify("the sum", yield* counter.ask(0), sent)
  return figures
})

export const asks = Effect.fnUntraced(function* (counter: Counter, job: Job) {
  let sum = 0
  const meter = new Meter()
  while (meter.spent < job.seconds / 2) {
    for (let i = 0; i < ASKS; i++) {
      const answer = yield* counter.ask(1)
      if (answer !== ++sum) verify("an answer", answer, sum)
    }
  }
  const figures = askFigures(meter, sum)
  const each = new Durations()
  const timed = new Meter()
  while (timed.spent < job.seconds / 2) {
    let last = performance.now()
    for (let i = 0; i < ASKS; i++) {
      const answer = yield* counter.ask(1)
      if (answer !== ++sum) verify("an answer", answer, sum)
      const now = performance.now()
      each.add(now - last)
      last = now
    }
  }
  return { ...figures, ...asksDone(each) }
})

export const contended = Effect.fnUntraced(function* (counter: Counter, job: Job) {
  let asked = 0
  const asker = Effect.fnUntraced(function* () {
    let last = 0
    for (let i = 0; i < ASKS; i++) {
      const sum = yield* counter.ask(1)
      if (sum <= last) verify("an answer grows", false, true)
      last = sum
    }
    asked += ASKS
  })
  const askers = Array.from({ length: ASKERS }, (_, i) => i)
  const meter = new Meter()
  while (meter.spent < job.seconds) {
    yield* Effect.forEach(askers, asker, { concurrency: "unbounded", discard: true })
  }
  const figures = askFigures(meter, asked)
  verify("the sum", yield* counter.ask(0), asked)
  return figures
})

/** Crashes it again and again, each time with that many messages behind the one that crashes. */
export const restarts = Effect.fnUntraced(function* (
  counter: Pick<Counter, "tell"> & { readonly crash: Effect.Effect<unknown, unknown> },
  seen: Restarts,
  queued: number,
  job: Job,
) {
  let crashes = 0
  const meter = new Meter()
  while (meter.spent < job.seconds) {
    seen.handled.expect(queued)
    yield* counter.crash
    for (let i = 0; i < queued; i++) yield* counter.tell(1)
    if (!seen.handled.done) yield* Effect.promise(seen.handled.all)
    crashes++
  }
  return seen.figures(crashes, queued)
})
