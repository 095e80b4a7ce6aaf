import { Cause, Context, Effect, Exit, Scope } from "effect"
import * as CancelReason from "../task/CancelReason.ts"
import { Restarts } from "../task/restarts.ts"
import { CancelScope, CurrentScope, root } from "../task/scope.ts"
import { outcomeOf, settled } from "../task/start.ts"
import { type Timer, timersOf } from "../task/timers.ts"
import { fork } from "../task/turn.ts"
import { ActorContext } from "./ActorContext.ts"
import type { Entry } from "./entry.ts"
import { crashedOn, hasStopped } from "./failures.ts"
import { Handling, type Verdict } from "./handling.ts"
import type { Handlers, Home } from "./home.ts"
import type { Incarnation } from "./launch.ts"
import { Runner } from "./runner.ts"
import type { Ending, Terminated } from "./terminated.ts"

/** How an actor is stopped. */
export interface Stop {
  readonly ending: Ending
  readonly reason: CancelReason.CancelReason
  /** Time to handle what is queued; 0 discards it. */
  readonly drainMs: number
  readonly cause?: Cause.Cause<unknown> | undefined
}

/**
 * An actor: what handles its messages (`Runner`), and its lives. A plain object, with no fiber of
 * its own.
 *
 * starting → ready → crashed → (waiting →) starting …, and from each of these → closing → stopped.
 */
export class Cell extends Runner {
  readonly parent: Cell | undefined
  /** Actors that this incarnation spawned, in the order of their start. */
  children: Map<string, Cell> | undefined = undefined
  terminated: Terminated | undefined = undefined
  /** Neighbours in the list of idle actors of its kind. */
  older: Cell | undefined = undefined
  younger: Cell | undefined = undefined
  isIdle = false
  idleSince = 0
  private restarts: Restarts | undefined = undefined
  private watchers: Set<(terminated: Terminated) => void> | undefined = undefined
  private timer: Timer | undefined = undefined
  private stop: Stop | undefined = undefined
  /** Incarnations so far. */
  lives = 0
  /** Undone when the incarnation ends: timers and watches, by name. */
  undo: Map<string, () => void> | undefined = undefined

  constructor(home: Home<Runner>, key: string, path: string, parent: Cell | undefined) {
    super(home, key, path)
    this.parent = parent
  }

  /** It has put messages aside, keeps time, watches or has children, and would lose them. */
  get attached(): boolean {
    return this.mailbox.stashed > 0 || (this.undo !== undefined && this.undo.size > 0) ||
      (this.children !== undefined && this.children.size > 0)
  }

  /** Runs init; the mailbox opens when it succeeds. */
  start(): void {
    const { home } = this
    const frame = new CancelScope(
      this.parent?.incarnation?.frame ?? root,
      Infinity,
      undefined,
      undefined,
      undefined,
    )
    const resources = Scope.makeUnsafe()
    let context: Context.Context<never> = Context.add(home.context, CurrentScope, frame)
    context = Context.add(context, Scope.Scope, resources)
    const number = ++this.lives
    this.vacate()
    context = Context.add(context, ActorContext, home.inside(this))
    const incarnation: Incarnation = { number, frame, resources, context, handlers: none }
    this.incarnation = incarnation
    this.status = "starting"
    const handling = new Handling(
      home.ledger,
      home.clock,
      this,
      `${this.path}.init`,
      undefined,
      undefined,
      this.now(),
      home.settings.graceMs,
    )
    handling.scope = new CancelScope(frame, Infinity, handling, undefined, undefined)
    this.initializing = handling
    const ended = (exit: Exit.Exit<Handlers, unknown>) => {
      if (this.initializing === handling) this.initializing = undefined
      handling.end(outcomeOf(exit))
      this.started(incarnation, exit)
    }
    const fiber = fork(
      Context.add(context, CurrentScope, handling.scope),
      home.init as Effect.Effect<Handlers, unknown>,
    )
    const done = fiber.pollUnsafe()
    if (done !== undefined) return ended(done)
    handling.fiber = fiber
    home.ledger.list(handling)
    if (handling.cancelledAt >= 0) fiber.interruptUnsafe()
    fiber.addObserver(ended)
  }

  private started(incarnation: Incarnation, exit: Exit.Exit<Handlers, unknown>): void {
    if (this.incarnation !== incarnation || this.status !== "starting") {
      if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) this.home.crashedLate(this, exit.cause)
      return
    }
    if (Exit.isFailure(exit)) return this.crashed(exit.cause)
    incarnation.handlers = exit.value
    this.status = "ready"
    const now = this.now()
    this.lastAt = now
    this.drain(now)
  }

  /** It has a life that could end by a crash. */
  get alive(): boolean {
    return this.status === "ready" || this.status === "starting"
  }

  protected override crashed(cause: Cause.Cause<unknown>): void {
    if (!this.alive) return
    const starting = this.status === "starting"
    this.status = "crashed"
    this.cancelRunning(CancelReason.ParentEnded(this.path), (entry): Verdict => ({
      outcome: "failed",
      exit: Exit.fail(crashedOn(this, entry, Cause.squash(cause))),
      again: entry.attempts <= entry.plan.retries,
    }))
    this.endIncarnation(CancelReason.ParentEnded(this.path), Exit.failCause(cause), () => {
      if (this.status === "crashed") this.decide(cause, starting)
    })
  }

  /** A child has used up its restarts: this actor cannot go on either. */
  childFailed(cause: Cause.Cause<unknown>): void {
    this.crashed(cause)
  }

  /** A child has stopped for good. */
  childGone(child: Cell): void {
    if (this.children?.get(child.key) !== child) return
    this.children.delete(child.key)
    if (this.status === "ready" && this.quiet) this.drained(this.now())
  }

  private decide(cause: Cause.Cause<unknown>, starting: boolean): void {
    if (this.stopping) {
      this.home.crashedLate(this, cause)
      this.status = "waiting"
      return this.shut()
    }
    const now = this.now()
    this.restarts ??= new Restarts(this.home.settings.restart)
    const verdict = this.restarts.crashed(now, cause)
    if (verdict._tag === "Restart") {
      this.home.restarted(this, cause, verdict.attempt, verdict.delayMs)
      if (verdict.delayMs <= 0 && !starting) return this.start()
      this.status = "waiting"
      // An init that fails at once must not hold the thread until its restarts are used up.
      if (verdict.delayMs <= 0) {
        return this.home.later(() => {
          if (this.status === "waiting") this.start()
        })
      }
      this.timer = timersOf(this.home.clock).schedule(now + verdict.delayMs, () => {
        this.timer = undefined
        this.start()
      })
      return
    }
    this.status = "waiting"
    // It ends first, so that whoever ends because of it finds that it has failed.
    this.halt({
      ending: "failed",
      reason: CancelReason.ParentEnded(this.path),
      drainMs: 0,
      cause,
    })
    this.home.failed(this, cause)
  }

  /**
   * Stops for good: refuses what is new, drains, cancels, closes. A second call can only end the
   * draining.
   */
  halt(stop: Stop): void {
    if (this.stop !== undefined) return stop.drainMs > 0 ? undefined : this.shut()
    this.stop = stop
    this.stopping = true
    this.mailbox.close()
    this.home.busy(this)
    const drains = stop.drainMs > 0 && (this.status === "ready" || this.status === "starting")
    if (!drains || (this.status === "ready" && this.quiet)) return this.shut()
    this.timer = timersOf(this.home.clock).schedule(this.now() + stop.drainMs, () => {
      this.timer = undefined
      this.shut()
    })
    this.schedule()
  }

  protected override drained(now: number): void {
    if (this.stopping) this.shut()
    else this.home.idle(this, now)
  }

  /** Calls back once, when it has stopped for good; at once if it has. */
  onTerminated(watcher: (terminated: Terminated) => void): () => void {
    if (this.terminated !== undefined) {
      watcher(this.terminated)
      return nothing
    }
    const watchers = this.watchers ??= new Set()
    watchers.add(watcher)
    return () => {
      watchers.delete(watcher)
    }
  }

  private shut(): void {
    // What has crashed is being closed already; `decide` goes on from there.
    if (this.status === "closing" || this.status === "stopped" || this.status === "crashed") return
    const { reason } = this.stop!
    if (this.timer !== undefined) timersOf(this.home.clock).cancel(this.timer)
    this.timer = undefined
    this.status = "closing"
    this.cancelRunning(reason, (entry): Verdict => ({
      outcome: "cancelled",
      exit: Exit.fail(hasStopped(this, entry.tag, true)),
    }))
    this.endIncarnation(reason, Exit.void, () => this.finished())
  }

  private finished(): void {
    const { mailbox } = this
    for (let entry = mailbox.leftover(); entry !== undefined; entry = mailbox.leftover()) {
      this.discard(entry)
    }
    const controls = this.queue
    this.queue = undefined
    if (controls !== undefined) { for (const control of controls) control.over?.() }
    this.status = "stopped"
    const { cause, ending } = this.stop!
    this.terminated = { path: this.path, reason: ending, cause }
    this.home.gone(this)
    const watchers = this.watchers
    this.watchers = undefined
    if (watchers !== undefined) { for (const watcher of watchers) watcher(this.terminated) }
  }

  private discard(entry: Entry): void {
    const waited = entry.state === "offering"
    this.mailbox.end(entry, waited ? "rejected" : "discarded")
    this.letter(entry, waited ? "rejected" : "discarded", undefined)
    entry.admitted?.()
    // One that was to be tried again has run before.
    this.answer(entry, Exit.fail(hasStopped(this, entry.tag, entry.attempts > 0)))
  }

  /**
   * Ends a life: waits for what runs (each run has a budget of its own), stops the children, the
   * youngest first (so has each of them), and closes its scope, within the grace.
   */
  private endIncarnation(
    reason: CancelReason.CancelReason,
    exit: Exit.Exit<unknown, unknown>,
    then: () => void,
  ): void {
    const incarnation = this.incarnation
    if (incarnation === undefined) return then()
    this.incarnation = undefined
    incarnation.frame.cancel(reason)
    const undo = this.undo
    this.undo = undefined
    if (undo !== undefined) { for (const step of undo.values()) step() }
    this.queue = undefined
    const waits = this.runs().filter((handling) => !handling.ended)
    const children = this.children
    this.children = undefined
    const close = () => this.closing(incarnation, reason, exit, then)
    if (waits.length === 0 && children === undefined) return close()
    fork(
      incarnation.context,
      Effect.uninterruptible(Effect.gen(function* () {
        for (const handling of waits) yield* settled(handling)
        if (children === undefined) return
        for (const child of Array.from(children.values()).reverse()) {
          yield* ended(child, { ending: "shutdown", reason, drainMs: 0 })
        }
      })),
    ).addObserver(close)
  }

  /** Runs the closing as a task that is being cancelled: listed, bounded, and abandoned if it hangs. */
  private closing(
    incarnation: Incarnation,
    reason: CancelReason.CancelReason,
    exit: Exit.Exit<unknown, unknown>,
    then: () => void,
  ): void {
    const effect = Scope.closeUnsafe(incarnation.resources, exit)
    if (effect === undefined) return then()
    const { home } = this
    const handling = new Handling(
      home.ledger,
      home.clock,
      this,
      `${this.path}.close`,
      undefined,
      undefined,
      this.now(),
      home.settings.graceMs,
    )
    handling.scope = incarnation.frame
    const fiber = fork(
      incarnation.context,
      Effect.uninterruptible(
        Effect.catchCause(
          effect,
          (cause) => Effect.logWarning(`A finalizer of actor "${this.path}" failed.`, cause),
        ),
      ),
    )
    if (fiber.pollUnsafe() !== undefined) {
      handling.end("completed")
      return then()
    }
    handling.fiber = fiber
    home.ledger.list(handling)
    handling.cancel(reason)
    fiber.addObserver(() => handling.end("completed"))
    handling.onSettled(then)
  }
}

/** Stops an actor and waits until it has. */
export const ended = (cell: Cell, stop: Stop): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const remove = cell.onTerminated(() => resume(Effect.void))
    cell.halt(stop)
    return Effect.sync(remove)
  })

const none: Handlers = {}
const nothing = () => {}
