import { type Cause, Clock, Context, Effect, type Fiber, Scope, Stream } from "effect"
import type { Stats } from "../bounded/Bounded.ts"
import { Quota } from "../bounded/quota.ts"
import { fromRefusal, type Refused } from "../bounded/Refused.ts"
import { Mistake } from "../internal/mistake.ts"
import type { Count, DeadLetter, DeadLetters, Delivery, Options, Reason } from "./DeadLetters.ts"
import { reasons } from "./DeadLetters.ts"
import { isEcho } from "./letter.ts"
import { Ring } from "./ring.ts"
import { Subscriber } from "./subscriber.ts"
import { Warnings } from "./warnings.ts"

const maxKinds = 1000
const other = "other"

/** What is known of the letters of one kind. */
type File = Readonly<Record<Reason, { count: number; readonly warnings: Warnings }>>

/** Where dead letters go. Synchronous, and without foreign code: who reads them runs later. */
export class Office implements DeadLetters {
  readonly bounded: Subscribers
  private readonly logged: number
  private readonly clock: Clock.Clock
  private readonly context: Context.Context<never>
  private readonly later: (task: () => void) => void
  private readonly files = new Map<string, File>()
  private readonly newest: Ring<DeadLetter>
  private lines: Array<Effect.Effect<void>> = []
  private closed = false

  constructor(name: string, options: Options, fiber: Fiber.Fiber<unknown, unknown>) {
    this.logged = count("logged", options.logged, 10, 0)
    this.newest = new Ring(count("recent", options.recent, 100, 0))
    this.bounded = new Subscribers(name, count("subscribers", options.subscribers, 16, 1))
    this.clock = fiber.getRef(Clock.Clock)
    // A line of the log is a root fiber of its own; the scope of the layer is not for it.
    this.context = Context.omit(Scope.Scope)(fiber.context) as Context.Context<never>
    const dispatcher = fiber.cache.scheduler.makeDispatcher()
    this.later = (task) => dispatcher.scheduleTask(task, 0)
  }

  readonly publish = (letter: DeadLetter): void => {
    const shelf = this.fileOf(letter.kind)[letter.reason]
    shelf.count++
    this.newest.push(letter)
    shelf.warnings.note(letter)
    const { bounded } = this
    if (bounded.inUse > 0 && !isEcho(letter)) bounded.push(letter)
  }

  readonly stream = (
    options?: { readonly buffer?: number },
  ): Stream.Stream<Delivery, Refused> =>
    Stream.unwrap(Effect.map(
      Effect.acquireRelease(
        Effect.suspend(() => this.subscribe(count("buffer", options?.buffer, 256, 1))),
        (subscriber) => Effect.sync(() => this.bounded.remove(subscriber)),
      ),
      (subscriber) => Stream.fromPull(Effect.succeed(subscriber.pull)),
    ))

  readonly counts: Effect.Effect<ReadonlyArray<Count>> = Effect.sync(() => this.countsNow())

  readonly recent: Effect.Effect<ReadonlyArray<DeadLetter>> = Effect.sync(() =>
    this.newest.toArray()
  )

  countsNow(): ReadonlyArray<Count> {
    return Array.from(this.files).flatMap(([kind, file]) =>
      reasons.flatMap((reason) => {
        const { count } = file[reason]
        return count === 0 ? [] : [{ kind, reason, count }]
      })
    )
  }

  /** Ends the streams, and tells what was not logged yet. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    for (const subscriber of this.bounded.all) subscriber.close()
    for (const file of this.files.values()) {
      for (const reason of reasons) file[reason].warnings.close()
    }
    return Effect.suspend(() => this.takeLines())
  })

  private subscribe(buffer: number): Effect.Effect<Subscriber, Refused> {
    const { bounded } = this
    const refusal = bounded.enter()
    if (refusal !== undefined) return Effect.fail(fromRefusal(refusal))
    const subscriber = new Subscriber(buffer, this.later)
    bounded.add(subscriber)
    if (this.closed) subscriber.close()
    return Effect.succeed(subscriber)
  }

  private readonly write = (line: string, cause: Cause.Cause<unknown> | undefined): void => {
    this.lines.push(cause === undefined ? Effect.logWarning(line) : Effect.logWarning(line, cause))
    if (this.lines.length > 1) return
    // A logger is foreign code: it must not run where a letter is written.
    this.later(() => Effect.runForkWith(this.context)(this.takeLines()).addObserver(() => {}))
  }

  private takeLines(): Effect.Effect<void> {
    const lines = this.lines
    this.lines = []
    return Effect.all(lines, { discard: true })
  }

  private fileOf(kind: string): File {
    const known = this.files.get(kind)
    if (known !== undefined) return known
    if (this.files.size >= maxKinds && kind !== other) return this.fileOf(other)
    const file = Object.fromEntries(reasons.map((reason) => [reason, {
      count: 0,
      warnings: new Warnings(this.logged, this.clock, this.write, kind, reason),
    }])) as unknown as File
    this.files.set(kind, file)
    return file
  }
}

/** The subscribers as one bounded thing: its places are subscriptions, its line their buffers. */
class Subscribers extends Quota {
  readonly all = new Set<Subscriber>()
  private most = 0
  private lost = 0

  constructor(name: string, capacity: number) {
    super("dead-letters", name, capacity)
  }

  add(subscriber: Subscriber): void {
    this.all.add(subscriber)
  }

  remove(subscriber: Subscriber): void {
    if (this.all.delete(subscriber)) this.leave()
  }

  push(letter: DeadLetter): void {
    for (const subscriber of this.all) {
      if (subscriber.push(letter)) this.lost++
    }
    this.most = Math.max(this.most, this.waiting)
  }

  override stats(now: number): Stats {
    const stats = super.stats(now)
    let queueCapacity = 0
    let oldest = now
    for (const { capacity, oldestAt } of this.all) {
      queueCapacity += capacity
      if (oldestAt !== undefined && oldestAt < oldest) oldest = oldestAt
    }
    return {
      ...stats,
      waiting: this.waiting,
      queueCapacity,
      highWater: this.most,
      oldestWaitMs: now - oldest,
      refused: { ...stats.refused, Shed: this.lost },
    }
  }

  private get waiting(): number {
    let waiting = 0
    for (const { size } of this.all) waiting += size
    return waiting
  }
}

const count = (
  option: string,
  value: number | undefined,
  otherwise: number,
  least: number,
): number => {
  if (value === undefined) return otherwise
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new Mistake(
    `Dead letters: ${option} is ${value}. It must be a whole number, at least ${least}.`,
  )
}
