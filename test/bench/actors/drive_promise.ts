/**
 * The workloads, for subjects whose messages are calls, and whose answers are promises.
 */
import type { Sample } from "../suite.ts"
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
  readonly tell: (count: number) => void
  /** Adds, and answers with the sum. */
  readonly ask: (count: number) => Promise<number>
}

export const tells = async (counter: Counter, handled: Handled, job: Job): Promise<Sample> => {
  const meter = new Meter()
  let sent = 0
  while (meter.spent < job.seconds) {
    handled.expect(CAPACITY)
    for (let i = 0; i < CAPACITY; i++) counter.tell(1)
    if (!handled.done) await handled.all()
    sent += CAPACITY
  }
  const figures = tellFigures(meter, sent)
  verify("the sum", await counter.ask(0), sent)
  return figures
}

export const asks = async (counter: Counter, job: Job): Promise<Sample> => {
  let sum = 0
  const meter = new Meter()
  while (meter.spent < job.seconds / 2) {
    for (let i = 0; i < ASKS; i++) {
      const answer = await counter.ask(1)
      if (answer !== ++sum) verify("an answer", answer, sum)
    }
  }
  const figures = askFigures(meter, sum)
  const each = new Durations()
  const timed = new Meter()
  while (timed.spent < job.seconds / 2) {
    let last = performance.now()
    for (let i = 0; i < ASKS; i++) {
      const answer = await counter.ask(1)
      if (answer !== ++sum) verify("an answer", answer, sum)
      const now = performance.now()
      each.add(now - last)
      last = now
    }
  }
  return { ...figures, ...asksDone(each) }
}

export const contended = async (counter: Counter, job: Job): Promise<Sample> => {
  let asked = 0
  const asker = async (): Promise<void> => {
    let last = 0
    for (let i = 0; i < ASKS; i++) {
      const sum = await counter.ask(1)
      if (sum <= last) verify("an answer grows", false, true)
      last = sum
    }
    asked += ASKS
  }
  const meter = new Meter()
  while (meter.spent < job.seconds) {
    await Promise.all(Array.from({ length: ASKERS }, asker))
  }
  const figures = askFigures(meter, asked)
  verify("the sum", await counter.ask(0), asked)
  return figures
}

/** Crashes it again and again, each time with that many messages behind the one that crashes. */
export const restarts = async (
  counter: Pick<Counter, "tell"> & { readonly crash: () => void },
  seen: Restarts,
  queued: number,
  job: Job,
): Promise<Sample> => {
  let crashes = 0
  const meter = new Meter()
  while (meter.spent < job.seconds) {
    seen.handled.expect(queued)
    counter.crash()
    for (let i = 0; i < queued; i++) counter.tell(1)
    if (!seen.handled.done) await seen.handled.all()
    crashes++
  }
  return seen.figures(crashes, queued)
}
