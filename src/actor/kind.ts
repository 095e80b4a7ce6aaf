import { Cause, Clock, Context, Effect, Exit, type Fiber } from "effect"
import type { Rpc } from "effect/rpc"
import type { Bounded } from "../bounded/Bounded.ts"
import type { Quota } from "../bounded/quota.ts"
import * as ServiceTime from "../bounded/ServiceTime.ts"
import * as CancelReason from "../task/CancelReason.ts"
import { TaskTree } from "../task/TaskTree.ts"
import { type Timer, timersOf } from "../task/timers.ts"
import type { ActorContext, Definition } from "./ActorContext.ts"
import { Cell, type Stop } from "./cell.ts"
import type { DeadLetter } from "./DeadLetters.ts"
import type { How } from "./entry.ts"
import { Door } from "./door.ts"
import { MailboxFull, Stopped } from "./errors.ts"
import { LateLedger } from "./handling.ts"
import { Letter } from "./letter.ts"
import { IdleList } from "./idle.ts"
import type { Handlers, Home } from "./home.ts"
import type { Plan } from "./plan.ts"
import { Inside, type Reachable } from "./inside.ts"
import type { Account } from "./Mailbox.ts"
import { type ActorOptions, resolve, type Settings } from "./options.ts"
import { plansOf } from "./plans.ts"
import { Residents } from "./residents.ts"
import { refMaker } from "./refs.ts"
import type { Absent } from "./sending.ts"
import { type Tally, Totals } from "./totals.ts"
import type { AnyRef } from "./types.ts"

/** What a kind needs of its system. */
export interface Surroundings {
  readonly publish: (letter: DeadLetter) => void
  /** How long a stop that begins now may handle what is queued. */
  readonly stopGrace: (now: number, ownMs: number) => number
  /** What the metrics say of all actors of that name. */
  readonly tally: (name: string) => Tally
}

/** An actor's definition and init, built: all actors that it has in this system. */
export class Kind implements Home<Cell> {
  readonly name: string
  readonly keyed: boolean
  readonly plans: Readonly<Record<string, Plan>>
  readonly settings: Settings
  readonly context: Context.Context<never>
  readonly init: Effect.Effect<Handlers, unknown, unknown>
  readonly clock: Clock.Clock
  readonly ledger: LateLedger
  readonly service: ServiceTime.ServiceTime
  readonly tally: Tally
  /** What it shows as a bounded thing: the mailbox of a single actor, else the residents. */
  readonly bounded: Bounded
  readonly line: Door | undefined
  readonly later: (task: () => void) => void
  readonly publish: (letter: DeadLetter) => void
  /** Nothing of it lives, and what it has counted is with its name. */
  departed = false
  /** Ends its life with that failure; set while it is open. */
  onFailed: ((cause: Cause.Cause<unknown>) => void) | undefined = undefined
  /** What else to do at the beginning and at the end of a life. */
  pool: { readonly open: () => void; readonly close: () => void } | undefined = undefined
  private readonly surroundings: Surroundings
  private readonly cells = new Map<string, Cell>()
  /** Passivated ones whose cleanup takes its time: a successor waits for it. */
  private readonly leaving = new Map<string, Cell>()
  /** Gone, but for runs that did not end in their time. */
  private readonly lingering = new Set<Cell>()
  private readonly quota: Quota | undefined
  /** Of actors that are gone, and of messages that found none. */
  private readonly past = new Totals()
  private readonly resting = new IdleList()
  private timer: Timer | undefined = undefined
  private readonly gone_ = new Set<() => void>()

  constructor(
    surroundings: Surroundings,
    definition: Definition<Rpc.Any>,
    keyed: boolean,
    options: ActorOptions,
    init: Effect.Effect<Handlers, unknown, unknown>,
    fiber: Fiber.Fiber<unknown, unknown>,
  ) {
    const { lanes, plans } = plansOf(definition.name, definition.protocol)
    this.name = definition.name
    this.keyed = keyed
    this.plans = plans
    this.settings = resolve(definition.name, options, lanes, keyed)
    this.surroundings = surroundings
    // Flat, so that what each message adds to it is not copied together with it.
    this.context = Context.makeUnsafe(new Map(fiber.context.mapUnsafe), { maxDepth: 32 })
    this.init = init
    this.clock = fiber.getRef(Clock.Clock)
    this.ledger = new LateLedger(fiber.getRef(TaskTree).unsafe)
    this.service = ServiceTime.make({ expectedMs: this.settings.expectedMs })
    this.quota = keyed ? new Residents(this.name, this.settings, () => this.residents) : undefined
    this.line = keyed ? undefined : new Door(this.name, this.settings, () => this.peek("")?.mailbox)
    this.bounded = this.quota ?? this.line!
    const dispatcher = fiber.cache.scheduler.makeDispatcher()
    this.later = (task) => dispatcher.scheduleTask(task, 0)
    this.publish = surroundings.publish
    this.tally = surroundings.tally(this.name)
  }

  /** The actors in memory. */
  get residents(): Iterable<Cell> {
    return this.cells.values()
  }

  peek(key: string): Cell | undefined {
    return this.cells.get(key)
  }

  /** A message to a key that is not in memory starts its actor. */
  get activates(): boolean {
    return this.keyed && this.onFailed !== undefined
  }

  /** The actor of that key, started if need be; or why there is none. */
  resolve(key: string, tag: string, payload: unknown, how: How): Cell | Absent {
    const cell = this.cells.get(key)
    if (cell !== undefined) return cell
    // A single actor starts with its kind, not with a message.
    const absent = this.onFailed === undefined || !this.keyed
      ? new Stopped({ actor: this.pathOf(key), tag, started: false })
      : this.room(key, tag)
    // What was passivated to make room may have sent to the same key from its finalizers.
    const other = this.cells.get(key)
    if (other !== undefined) return other
    if (absent === undefined) return this.activate(key)
    this.past.turnedAway()
    if (how !== "ask") {
      const at = this.clock.currentTimeMillisUnsafe()
      const path = this.pathOf(key)
      this.publish(new Letter(path, this.name, tag, payload, how, "rejected", at, undefined))
    }
    return { absent }
  }

  /** The account of all its mailboxes together, those of actors that are gone included. */
  account(): Pick<Account, "sent" | "queued" | "running" | "ended"> {
    return this.totals().account
  }

  totals(): Totals {
    const sum = new Totals()
    sum.merge(this.past)
    for (const cells of [this.cells, this.leaving, this.lingering]) {
      for (const cell of cells.values()) sum.add(cell.mailbox)
    }
    return sum
  }

  /** One life of the whole kind: until it fails, or is interrupted; then all its actors stop. */
  get life(): Effect.Effect<never, unknown> {
    return Effect.onExit(
      Effect.callback<never, unknown>((resume) => {
        this.onFailed = (cause) => {
          this.onFailed = undefined
          resume(Effect.failCause(cause))
        }
        if (!this.keyed) this.activate("")
        this.pool?.open()
      }),
      (exit) =>
        Effect.suspend(() => {
          this.onFailed = undefined
          this.pool?.close()
          if (Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) return this.stop
          return this.stopAll({
            ending: "shutdown",
            reason: CancelReason.ParentEnded(this.name),
            drainMs: 0,
          })
        }),
    )
  }

  /** Stops all its actors, and starts no new ones: what is queued is handled within the grace. */
  get stop(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.onFailed = undefined
      this.pool?.close()
      return this.stopAll({
        ending: "shutdown",
        reason: CancelReason.Shutdown,
        drainMs: this.surroundings.stopGrace(
          this.clock.currentTimeMillisUnsafe(),
          this.settings.graceMs,
        ),
      })
    })
  }

  private stopAll(stop: Stop): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const check = () => {
        if (this.cells.size > 0 || this.leaving.size > 0) return
        this.gone_.delete(check)
        resume(Effect.void)
      }
      this.gone_.add(check)
      for (const cell of Array.from(this.cells.values())) cell.halt(stop)
      check()
      return Effect.sync(() => this.gone_.delete(check))
    })
  }

  inside(cell: Cell): ActorContext {
    return new Inside(cell, cell.lives)
  }

  spawn(
    parent: Cell,
    actor: Definition<Rpc.Any>,
    name: string,
    init: Handlers | Effect.Effect<Handlers, unknown, unknown>,
    options: ActorOptions | undefined,
    fiber: Fiber.Fiber<unknown, unknown>,
  ): AnyRef {
    const kind = new Kind(
      this.surroundings,
      actor,
      false,
      { ...actor.options, ...options },
      initOf(init),
      fiber,
    )
    const cell = new Cell(kind, name, `${parent.path}/${name}`, parent)
    kind.tally.children.add(cell.mailbox)
    ;(parent.children ??= new Map()).set(name, cell)
    cell.start()
    const target: Reachable = {
      path: cell.path,
      peek: () => cell.terminated === undefined ? cell : undefined,
      resolve: () => cell,
    }
    return refMaker(kind.plans)(name, target)
  }

  idle(cell: Cell, now: number): void {
    const { idleMs } = this.settings
    if (!this.keyed || cell.isIdle || cell.attached) return
    this.resting.add(cell, now)
    if (this.timer === undefined && idleMs !== Infinity) this.watchIdle(now + idleMs)
  }

  busy(cell: Cell): void {
    this.resting.remove(cell)
  }

  failed(cell: Cell, cause: Cause.Cause<unknown>): void {
    if (this.settings.exhausted === "stop") {
      this.log(Effect.logError(
        `Actor "${cell.path}" crashed too often and has been stopped.`,
        cause,
      ))
      return
    }
    const { parent } = cell
    if (parent === undefined ? this.onFailed === undefined : !parent.alive) {
      return this.crashedLate(cell, cause)
    }
    if (parent !== undefined) parent.childFailed(cause)
    else this.onFailed!(cause)
  }

  gone(cell: Cell): void {
    this.busy(cell)
    this.lingering.add(cell)
    if (cell.mailbox.running === 0) this.over(cell)
    if (cell.parent !== undefined) return cell.parent.childGone(cell)
    if (this.leaving.get(cell.key) === cell) this.leaving.delete(cell.key)
    else {
      this.cells.delete(cell.key)
      this.quota?.leave()
    }
    const next = this.cells.get(cell.key)
    if (next !== undefined && next !== cell && next.lives === 0 && !next.stopping) next.start()
    if (this.timer !== undefined && this.resting.oldest === undefined) {
      timersOf(this.clock).cancel(this.timer)
      this.timer = undefined
    }
    for (const check of this.gone_) check()
  }

  over(cell: Cell): void {
    if (!this.lingering.delete(cell)) return
    this.tally.children.delete(cell.mailbox)
    this.pastOf(cell).left(cell.mailbox)
  }

  turnedAway(cell: Cell): void {
    // Before that, its own mailbox counts.
    if (cell.status === "stopped" && !this.lingering.has(cell)) this.pastOf(cell).turnedAway()
  }

  private pastOf(cell: Cell): Totals {
    return cell.parent === undefined && !this.departed ? this.past : this.tally.past
  }

  /** How many still live, those included that have not ended in their time. */
  get alive(): number {
    return this.cells.size + this.leaving.size + this.lingering.size
  }

  restarted(cell: Cell, cause: Cause.Cause<unknown>, attempt: number, delayMs: number): void {
    this.tally.restarts++
    this.log(Effect.logWarning(
      `Actor "${cell.path}" crashed and is restarted (attempt ${attempt}` +
        `${delayMs > 0 ? `, in ${Math.round(delayMs)} ms` : ""}).`,
      cause,
    ))
  }

  crashedLate(cell: Cell, cause: Cause.Cause<unknown>): void {
    this.log(Effect.logWarning(`Actor "${cell.path}" crashed while it was ending.`, cause))
  }

  private log(effect: Effect.Effect<void>): void {
    Effect.runForkWith(this.context)(effect).addObserver(() => {})
  }

  private pathOf(key: string): string {
    return this.keyed ? `${this.name}/${key}` : this.name
  }

  activate(key: string): Cell {
    const cell = new Cell(this as unknown as Home<never>, key, this.pathOf(key), undefined)
    this.cells.set(key, cell)
    this.quota?.took()
    // One owner at a time: the last one may still be cleaning up.
    if (this.leaving.has(key)) cell.status = "waiting"
    else cell.start()
    return cell
  }

  /** Makes room for one more, or says why there is none. */
  private room(key: string, tag: string): MailboxFull | undefined {
    const { residents } = this.settings
    while (this.cells.size >= residents && this.leaving.size < residents) {
      if (this.resting.oldest === undefined) break
      this.passivate(this.resting.oldest)
    }
    if (this.cells.size < residents) return undefined
    this.quota!.refuse("QueueFull", 1000)
    return new MailboxFull({
      actor: this.pathOf(key),
      tag,
      reason: "Residents",
      waiting: this.cells.size,
      capacity: residents,
      predictedWaitMs: 0,
      retryAfterMs: 1000,
    })
  }

  private passivate(cell: Cell): void {
    this.busy(cell)
    this.cells.delete(cell.key)
    this.quota?.leave()
    this.leaving.set(cell.key, cell)
    cell.halt({
      ending: "passivated",
      reason: CancelReason.ParentEnded(this.name),
      drainMs: 0,
    })
  }

  /** One timer for all that are idle: they are in the order in which they fell idle. */
  private watchIdle(at: number): void {
    this.timer = timersOf(this.clock).schedule(at, () => {
      this.timer = undefined
      const now = this.clock.currentTimeMillisUnsafe()
      const { idleMs } = this.settings
      let cell = this.resting.oldest
      while (cell !== undefined && cell.idleSince + idleMs <= now) {
        this.passivate(cell)
        cell = this.resting.oldest
      }
      // What the passivated ones did in their finalizers may have set it again already.
      if (cell !== undefined && this.timer === undefined) this.watchIdle(cell.idleSince + idleMs)
    })
  }
}

export const initOf = (
  init: Handlers | Effect.Effect<Handlers, unknown, unknown>,
): Effect.Effect<Handlers, unknown, unknown> => Effect.isEffect(init) ? init : Effect.succeed(init)
