/**
 * What all subjects of suite `actors` have in common: the sizes, the meter, the checks.
 */
import process from "node:process"
import { type Sample, VerificationFailed } from "../suite.ts"

/** What a mailbox holds, and so how many messages a sender has outstanding. */
export const CAPACITY = 1024
export const ASKERS = 64
/** Asks of each asker between two looks at the clock. */
export const ASKS = 100

export const workloads = [
  "tell",
  "ask",
  "contended",
  "contended-suspending",
  "population",
  "restart",
  "restart-queued",
] as const
export type Workload = typeof workloads[number]

/** Messages behind the one that crashes, when the incarnation that handles them is timed. */
export const queuedAt = { "restart": 1, "restart-queued": 1000 } as const

/** What a worker is asked for; a warm-up does less of the same. */
export interface Job {
  /** Of CPU time: what else the machine does must not decide how much of it is run, and compiled. */
  readonly seconds: number
  readonly warm: boolean
}

/** Runs a workload once, with actors of its own. */
export type Run = (job: Job) => Promise<Sample>

/**
 * Tells a sender when its messages have been handled. Every subject's handler calls `hit` once for
 * each message.
 */
export class Handled {
  private left = 0
  private wake: (() => void) | undefined = undefined

  expect(messages: number): void {
    this.left = messages
  }
  readonly hit = (): void => {
    if (--this.left === 0) this.wake?.()
  }
  get done(): boolean {
    return this.left <= 0
  }
  readonly all = (): Promise<void> =>
    new Promise((resolve) => {
      if (this.left <= 0) resolve()
      else this.wake = resolve
    })
}

/** Time and CPU time (user and system, all threads) of the process since it was made. */
export class Meter {
  private readonly at = performance.now()
  private readonly cpu = process.cpuUsage()

  get seconds(): number {
    return (performance.now() - this.at) / 1000
  }
  /** Seconds of CPU time. */
  get spent(): number {
    return this.cpuMicros / 1e6
  }
  get cpuMicros(): number {
    const { user, system } = process.cpuUsage(this.cpu)
    return user + system
  }
}

/** Figures of `count` operations. */
export const tellFigures = (meter: Meter, messages: number): Sample => {
  const { cpuMicros, seconds } = meter
  return { "CPU per message": cpuMicros * 1000 / messages, "messages": messages / seconds }
}

export const askFigures = (meter: Meter, asks: number): Sample => {
  const { cpuMicros, seconds } = meter
  return { "CPU per ask": cpuMicros / asks, "time per ask": seconds * 1e6 / asks }
}

/** Single durations in µs, as many as fit; the oldest are written over. */
export class Durations {
  private readonly values = new Float64Array(1 << 18)
  private count = 0

  add(ms: number): void {
    this.values[this.count++ & (this.values.length - 1)] = ms * 1000
  }
  get size(): number {
    return this.count
  }
  /** The value below which that share of all lies. */
  at(share: number): number {
    const sorted = this.values.slice(0, Math.min(this.count, this.values.length)).sort()
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
  }
}

export const asksDone = (each: Durations): Sample => ({ p50: each.at(0.5), p99: each.at(0.99) })

/** Times crashes: from the throw to the first message in the next incarnation. */
export class Restarts {
  readonly taken = new Durations()
  readonly handled = new Handled()
  incarnations = 0
  messages = 0
  private crashedAt = NaN

  /** To be called when an incarnation begins. */
  readonly begin = (): number => ++this.incarnations
  /** To be called just before the throw. */
  readonly crash = (): void => {
    this.crashedAt = performance.now()
  }
  /** To be called for each message. */
  readonly message = (): void => {
    if (this.crashedAt === this.crashedAt) {
      this.taken.add(performance.now() - this.crashedAt)
      this.crashedAt = NaN
    }
    this.messages++
    this.handled.hit()
  }
  figures(crashes: number, queued: number): Sample {
    verify("incarnations", this.incarnations, crashes + 1)
    verify("messages handled", this.messages, crashes * queued)
    verify("crashes timed", this.taken.size, crashes)
    return { "restart p50": this.taken.at(0.5), "restart p99": this.taken.at(0.99) }
  }
}

/** Bytes in use after a full collection. */
export const heapAfterGc = async (): Promise<number> => {
  const { gc } = globalThis as unknown as { readonly gc: () => void }
  for (let i = 0; i < 3; i++) {
    gc()
    await new Promise((resolve) => setTimeout(resolve, 10)) // finalization callbacks, timers
  }
  return Deno.memoryUsage().heapUsed
}

/** Actors that can be started and stopped together. */
export interface Actors {
  readonly start: () => Promise<void>
  /** Stops them and says how many finalizers ran. */
  readonly stop: () => Promise<number>
}

/** The same in every round, so it is measured in the first one only. */
let heapPerActor: number | undefined

/** Figures of a population: the heap of `plain` ones, the times of those that have a finalizer. */
export const population = async (
  job: Job,
  make: (size: number, finalizers: boolean) => Promise<Actors>,
): Promise<Sample> => {
  const size = job.warm ? 5000 : 100_000
  if (!job.warm && heapPerActor === undefined) {
    const plain = await make(size, false)
    const before = await heapAfterGc()
    await plain.start()
    heapPerActor = (await heapAfterGc() - before) / size
    await plain.stop()
  }
  const { start, stop } = await make(size, true)
  const starting = new Meter()
  await start()
  const startMicros = starting.seconds * 1e6
  const stopping = new Meter()
  const stopped = await stop()
  const stopMicros = stopping.seconds * 1e6
  verify("finalizers run", stopped, size)
  return {
    "heap per idle actor": heapPerActor ?? NaN,
    "start and first ask": startMicros / size,
    "stop": stopMicros / size,
  }
}

export const verify = (what: string, found: unknown, expected: unknown): void => {
  if (found === expected) return
  throw new VerificationFailed(`${what}: ${String(found)}, and not ${String(expected)}`)
}
