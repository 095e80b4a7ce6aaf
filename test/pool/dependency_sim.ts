/**
 * An open loop of arrivals, a short line, a limit, and behind it a dependency with so many servers and
 * a queue of its own, which the limit cannot see. In virtual time, seeded.
 */
import type { LimitPolicy } from "../sim/policies/policy.ts"
import { random } from "../support/random.ts"

export interface Scenario {
  readonly seconds: number
  /** Arrivals a second, at that time in milliseconds. */
  readonly rate: (now: number) => number
  /** Milliseconds that one call takes a server. */
  readonly service: (now: number, u: () => number) => number
  readonly servers: (now: number) => number
  /** Calls that are sent now are turned away within a millisecond. */
  readonly refuses?: (now: number) => boolean
  /** Places in line before the limit. */
  readonly line?: number
}

export interface Second {
  done: number
  refused: number
  /** Latencies of what was served, in milliseconds. */
  readonly latencies: Array<number>
  limit: number
}

class Heap {
  readonly #items: Array<
    { readonly at: number; readonly order: number; readonly run: () => void }
  > = []
  #order = 0

  get size(): number {
    return this.#items.length
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#items[a]!, this.#items[b]!]
    return x.at < y.at || (x.at === y.at && x.order < y.order)
  }

  #swap(a: number, b: number): void {
    const item = this.#items[a]!
    this.#items[a] = this.#items[b]!
    this.#items[b] = item
  }

  push(at: number, run: () => void): void {
    let i = this.#items.push({ at, order: this.#order++, run }) - 1
    while (i > 0 && this.#before(i, (i - 1) >> 1)) {
      this.#swap(i, (i - 1) >> 1)
      i = (i - 1) >> 1
    }
  }

  pop(): { readonly at: number; readonly run: () => void } | undefined {
    const last = this.size - 1
    if (last < 0) return undefined
    this.#swap(0, last)
    const top = this.#items.pop()!
    for (let i = 0;;) {
      let least = i
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < last && this.#before(child, least)) least = child
      }
      if (least === i) return top
      this.#swap(i, least)
      i = least
    }
  }
}

/** What happened in each second. */
export const simulate = (
  policy: LimitPolicy,
  scenario: Scenario,
  seed: number,
): ReadonlyArray<Second> => {
  const u = random(seed)
  const heap = new Heap()
  const seconds = Array.from(
    { length: scenario.seconds },
    (): Second => ({ done: 0, refused: 0, latencies: [], limit: 0 }),
  )
  const end = scenario.seconds * 1000
  const places = scenario.line ?? 20
  const queue: Array<() => void> = []
  let now = 0
  let inFlight = 0
  let busy = 0
  let waiting = 0
  const second = () => seconds[Math.min(seconds.length - 1, Math.floor(now / 1000))]!
  const serve = () => {
    while (busy < scenario.servers(now) && queue.length > 0) {
      busy++
      queue.shift()!()
    }
  }
  const send = () => {
    while (waiting > 0 && inFlight < Math.max(1, Math.floor(policy.limit))) {
      waiting--
      const began = now
      const concurrent = ++inFlight
      const finish = (served: boolean) => {
        inFlight--
        if (served) {
          second().done++
          second().latencies.push(now - began)
        }
        policy.onSample(now, now - began, concurrent, !served)
        send()
      }
      if (scenario.refuses?.(now) === true) {
        heap.push(now + 1, () => finish(false))
      } else {
        queue.push(() =>
          heap.push(now + scenario.service(now, u), () => {
            busy--
            finish(true)
            serve()
          })
        )
        serve()
      }
    }
  }
  const arrive = () => {
    if (waiting < places) waiting++
    else second().refused++
    send()
    heap.push(now - Math.log(1 - u()) * 1000 / scenario.rate(now), arrive)
  }
  heap.push(0, arrive)
  seconds.forEach((each, i) => heap.push(i * 1000 + 999, () => each.limit = policy.limit))
  for (let event = heap.pop(); event !== undefined && event.at < end; event = heap.pop()) {
    now = event.at
    event.run()
  }
  return seconds
}

/** Calls served a second, from one second up to another. */
export const throughput = (run: ReadonlyArray<Second>, from = 0, to = run.length): number =>
  run.slice(from, to).reduce((sum, { done }) => sum + done, 0) / (to - from)

/** Mean latency in milliseconds, likewise. */
export const latency = (run: ReadonlyArray<Second>, from = 0, to = run.length): number => {
  const all = run.slice(from, to).flatMap(({ latencies }) => latencies)
  return all.reduce((sum, ms) => sum + ms, 0) / all.length
}

/** Mean limit, likewise. */
export const limit = (run: ReadonlyArray<Second>, from = 0, to = run.length): number =>
  run.slice(from, to).reduce((sum, second) => sum + second.limit, 0) / (to - from)

export const exponential = (mean: number) => (_: number, u: () => number): number =>
  -Math.log(1 - u()) * mean
