import { type Cause, Clock, type Context, Effect, type Fiber } from "effect"
import type { Quota } from "../bounded/quota.ts"
import { Metrics } from "../telemetry/Metrics.ts"
import * as CancelReason from "./CancelReason.ts"
import { Child, type Incarnation, signal, start, type StartResult, stop } from "./child.ts"
import { ChildRefused, StartFailed, SupervisorExhausted } from "./giveup.ts"
import { Inbox } from "./inbox.ts"
import type { TaskRecord } from "./record.ts"
import * as reports from "./reports.ts"
import { RestartBudget, Restarts } from "./restarts.ts"
import { CurrentScope } from "./scope.ts"
import { type ChildSpec, resolve, type Settings } from "./specs.ts"
import { Waits } from "./waits.ts"

/** Whether the supervisor is to end, normally. */
type Step = Effect.Effect<boolean, SupervisorExhausted>

/** One request of a caller. */
interface Job {
  readonly run: Effect.Effect<boolean, SupervisorExhausted>
  readonly refuse: () => void
}

/**
 * One life of a supervisor. Its own fiber does everything that changes the children, one thing after
 * another: it takes ends, due restarts and requests from an inbox, in their order.
 */
export class Supervision {
  readonly settings: Settings
  /** In the order in which they are started. */
  readonly children: Map<string, Child> = new Map()
  /** Whether the first children were started; it may be over since. */
  begun = false
  /** The places for children that come later, where they are limited. */
  private readonly places: Quota | undefined
  private readonly specs: ReadonlyArray<ChildSpec<unknown>>
  private readonly inbox = new Inbox<Job>()
  private readonly budget: RestartBudget | undefined
  private record!: TaskRecord
  private clock!: Clock.Clock
  private metrics!: Metrics
  private context!: Context.Context<never>
  private waits!: Waits
  private waiting: (() => void) | undefined

  constructor(settings: Settings, specs: ReadonlyArray<ChildSpec<unknown>>, places?: Quota) {
    this.settings = settings
    this.specs = specs
    this.places = places
    this.budget = settings.shared
      ? new RestartBudget(settings.policy.intensity, settings.policy.periodMs)
      : undefined
  }

  /** What the supervisor's task does. `onUp` is told when the first children are started. */
  body(onUp: () => void): Effect.Effect<void, SupervisorExhausted | StartFailed> {
    return Effect.withFiber((fiber) => {
      this.adopt(fiber)
      return Effect.onExit(
        Effect.andThen(
          this.startFirst,
          Effect.suspend(() => {
            this.begun = true
            this.waiting?.()
            onUp()
            return this.loop
          }),
        ),
        () => this.end,
      )
    })
  }

  /** Waits until the first children are started; for ever when they are not. */
  readonly up: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.begun) return resume(Effect.void)
    this.waiting = () => resume(Effect.void)
    return Effect.sync(() => {
      this.waiting = undefined
    })
  })

  /** Has its fiber do something for a caller, who may withdraw it as long as it was not begun. */
  ask<A, E>(
    child: string,
    work: () => Effect.Effect<A, E>,
  ): Effect.Effect<A, E | ChildRefused> {
    return Effect.callback<A, E | ChildRefused>((resume) => {
      let withdrawn = false
      const refuse = () => resume(Effect.fail(this.refused(child, "Ended")))
      const run = Effect.suspend(() => {
        if (withdrawn) return Effect.succeed(false)
        return Effect.map(
          Effect.onExit(work(), (exit) =>
            Effect.sync(() =>
              // Its own interrupt means that it ends; the caller was not interrupted.
              exit._tag === "Failure" && this.record.cancelledAt >= 0 ? refuse() : resume(exit)
            )),
          () => false,
        )
      })
      if (!this.inbox.push({ run: Effect.catchCause(run, () => Effect.succeed(false)), refuse })) {
        refuse()
      }
      return Effect.sync(() => {
        withdrawn = true
      })
    })
  }

  /** Starts a child that comes later; `context` is what it runs in. */
  add(spec: ChildSpec<unknown>, context: Context.Context<never>) {
    return Effect.suspend((): Effect.Effect<Child, StartFailed | ChildRefused> => {
      const known = this.children.get(spec.id)
      if (known !== undefined) {
        const running = known.state === "running" || known.state === "starting"
        return Effect.fail(this.refused(spec.id, running ? "AlreadyStarted" : "AlreadyPresent"))
      }
      const child = new Child(resolve(spec, this.settings, context, "dynamic"))
      if (this.places?.enter() !== undefined) return Effect.fail(this.refused(spec.id, "Full"))
      this.children.set(spec.id, child)
      return this.startNow(child, true)
    })
  }

  /** Stops a child and takes back its restart. */
  terminate(id: string): Effect.Effect<void, ChildRefused> {
    const why = CancelReason.Requested("Supervisor.terminateChild")
    const someWait = () => this.some((other) => other.state === "restarting")
    return this.with(id, (child) =>
      Effect.map(this.stop(child, why), () => {
        this.gone(child)
        this.waits.withdraw(child, someWait)
      }))
  }

  /** Starts a child that is stopped. */
  again(id: string): Effect.Effect<Child, StartFailed | ChildRefused> {
    return this.with(id, (child): Effect.Effect<Child, StartFailed | ChildRefused> => {
      const reason = busy(child)
      return reason === undefined
        ? this.startNow(child, false)
        : Effect.fail(this.refused(id, reason))
    })
  }

  /** Forgets a child that is stopped. */
  forget(id: string): Effect.Effect<void, ChildRefused> {
    return this.with(id, (child) => {
      const reason = busy(child)
      if (reason !== undefined) return Effect.fail(this.refused(id, reason))
      this.drop(child)
      return Effect.void
    })
  }

  private with<A, E>(
    id: string,
    work: (child: Child) => Effect.Effect<A, E>,
  ): Effect.Effect<A, E | ChildRefused> {
    return Effect.suspend((): Effect.Effect<A, E | ChildRefused> => {
      const child = this.children.get(id)
      return child === undefined ? Effect.fail(this.refused(id, "NotFound")) : work(child)
    })
  }

  private adopt(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.record = fiber.getRef(CurrentScope).task as TaskRecord
    // Its failure is told and logged here.
    this.record.watched = true
    this.clock = fiber.getRef(Clock.Clock)
    this.waits = new Waits(this.clock, this.settings.strategy !== "one-for-one")
    this.metrics = fiber.getRef(Metrics)
    this.context = fiber.context
    for (const spec of this.specs) {
      const child = new Child(resolve(spec, this.settings, this.context, spec.id))
      if (this.children.has(spec.id)) throw reports.twice(this.settings.name, spec.id)
      this.children.set(spec.id, child)
    }
  }

  private readonly startFirst: Effect.Effect<void, StartFailed> = Effect.suspend(() =>
    Effect.forEach(
      Array.from(this.children.values()),
      (child) => this.startNow(child, child.passing),
      { discard: true },
    )
  ) as Effect.Effect<void, StartFailed>

  private readonly loop: Effect.Effect<void, SupervisorExhausted> = Effect.flatMap(
    this.inbox.take,
    (job) => Effect.flatMap(job.run, (ends) => ends ? Effect.void : this.loop),
  )

  /** Stops everything, the youngest first; nothing is taken any more. */
  private readonly end: Effect.Effect<void> = Effect.suspend(() => {
    for (const job of this.inbox.close()) job.refuse()
    const all = Array.from(this.children.values()).reverse()
    this.waits.clear()
    if (this.settings.alike) {
      for (const child of all) signal(child, this.settings.name, undefined)
    }
    return Effect.forEach(all, (child) => this.stop(child, undefined), { discard: true })
  })

  /** A start that somebody waits for: its failure is theirs. */
  private startNow(child: Child, fleeting: boolean): Effect.Effect<Child, StartFailed> {
    return Effect.flatMap(this.start(child), (result) => {
      if (result._tag === "Up") return Effect.succeed(child)
      if (result._tag === "Declined") {
        if (child.passing) this.drop(child)
        return Effect.succeed(child)
      }
      if (fleeting) this.drop(child)
      return Effect.fail(
        new StartFailed({
          supervisor: this.settings.name,
          child: child.spec.id,
          cause: result.cause,
        }),
      )
    })
  }

  private start(child: Child): Effect.Effect<StartResult> {
    return start(child, this.record.scope, (incarnation) => {
      this.push(Effect.suspend(() => this.exited(incarnation)))
    })
  }

  private push(run: Step): void {
    this.inbox.push({ run, refuse: () => {} })
  }

  private stop(child: Child, why: CancelReason.CancelReason | undefined): Effect.Effect<void> {
    return Effect.flatMap(
      stop(child, this.settings.name, why),
      (cause) =>
        cause === undefined
          ? Effect.void
          : reports.stopFailed(this.settings.name, child.spec.id, cause),
    )
  }

  /** A child has ended by itself, or somebody else has cancelled it. */
  private exited(incarnation: Incarnation): Step {
    const { child } = incarnation
    // It was stopped in between, and perhaps started again.
    if (child.incarnation !== incarnation || incarnation.phase !== "up") return goOn
    child.incarnation = undefined
    const failure = incarnation.failure()
    if (incarnation.declined) {
      this.gone(child)
      return goOn
    }
    if (child.spec.restart === "permanent") return this.restart(child, failure, "ended")
    if (failure === undefined) return this.ended(child)
    if (child.spec.restart === "transient") return this.restart(child, failure, "ended")
    child.lastCause = failure
    return Effect.flatMap(
      reports.notRestarted(this.settings.name, child.spec.id, failure),
      () => this.ended(child),
    )
  }

  private ended(child: Child): Step {
    this.gone(child)
    const { autoShutdown } = this.settings
    if (!child.spec.significant || autoShutdown === "never") return goOn
    if (autoShutdown === "any") return Effect.succeed(true)
    return this.some((other) => other.spec.significant && other.state !== "stopped")
      ? goOn
      : Effect.succeed(true)
  }

  private some(is: (child: Child) => boolean): boolean {
    for (const child of this.children.values()) if (is(child)) return true
    return false
  }

  private drop(child: Child): void {
    this.children.delete(child.spec.id)
    this.places?.leave()
  }

  private gone(child: Child): void {
    child.state = "stopped"
    if (child.passing) this.drop(child)
  }

  /** Decides about a failure, and has the restart follow, at once or when its wait is over. */
  private restart(
    child: Child,
    failure: Cause.Cause<unknown> | undefined,
    what: "ended" | "not started",
  ): Step {
    const now = this.clock.currentTimeMillisUnsafe()
    const { name, policy } = this.settings
    const cause = failure ?? reports.endedNormally
    child.lastCause = cause
    child.restarts ??= new Restarts(policy, this.context, this.budget)
    const verdict = child.restarts.crashed(now, cause)
    if (verdict._tag === "Exhausted") {
      child.state = "stopped"
      const { restarts, withinMs } = verdict
      const shared = this.settings.shared
      const fields = { supervisor: name, child: child.spec.id, restarts, withinMs, shared, cause }
      return Effect.fail(new SupervisorExhausted(fields))
    }
    child.state = "restarting"
    child.restarted++
    this.metrics.supervisorRestart(name, child.spec.label)
    const group = this.groupOf(child)
    return Effect.andThen(
      reports.restarts(name, child.spec.id, failure, what, verdict, group.length - 1),
      Effect.andThen(
        this.stopGroup(group, child),
        Effect.suspend(() => this.schedule(child, now + verdict.delayMs, what === "ended")),
      ),
    )
  }

  /** Those that are started again together with it, in start order. */
  private groupOf(child: Child): ReadonlyArray<Child> {
    const { strategy } = this.settings
    if (strategy === "one-for-one") return [child]
    const all = Array.from(this.children.values())
    return strategy === "one-for-all" ? all : all.slice(all.indexOf(child))
  }

  private stopGroup(group: ReadonlyArray<Child>, failed: Child): Effect.Effect<void> {
    if (group.length === 1) return Effect.void
    const why = CancelReason.SiblingFailed(failed.spec.id)
    return Effect.forEach(
      Array.from(group).reverse(),
      (child) =>
        child === failed ? Effect.void : Effect.map(this.stop(child, why), () => {
          // Also one that had been stopped on purpose: as in OTP, a group is started whole.
          if (child.passing) this.drop(child)
          else child.state = "restarting"
        }),
      { discard: true },
    )
  }

  private schedule(child: Child, dueAt: number, direct: boolean): Step {
    const alone = this.settings.strategy === "one-for-one"
    const go = Effect.suspend(() =>
      this.startGroup(alone ? [child] : Array.from(this.children.values()))
    )
    if (this.waits.until(child, dueAt, () => this.push(go))) return goOn
    // A start that fails again and again lets others in between.
    if (direct) return go
    this.push(go)
    return goOn
  }

  /** Starts those of them that wait for it; one that fails decides about the others again. */
  private startGroup(group: ReadonlyArray<Child>, from = 0): Step {
    return Effect.suspend((): Step => {
      let at = from
      while (at < group.length && group[at]!.state !== "restarting") at++
      const child = group[at]
      if (child === undefined) return goOn
      return Effect.flatMap(this.start(child), (result): Step => {
        if (result._tag === "Failed") return this.restart(child, result.cause, "not started")
        if (result._tag === "Declined") this.gone(child)
        return this.startGroup(group, at + 1)
      })
    })
  }

  private refused(child: string, reason: ChildRefused["reason"]): ChildRefused {
    return new ChildRefused({ supervisor: this.settings.name, child, reason })
  }
}

const goOn: Step = Effect.succeed(false)

const busy = (child: Child): "Running" | "Restarting" | undefined =>
  child.state === "stopped" ? undefined : child.state === "restarting" ? "Restarting" : "Running"
