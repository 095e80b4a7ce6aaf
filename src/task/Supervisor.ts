/**
 * Supervision: failure with a plan. A supervisor starts its children in order, starts those again
 * that fail, gives up when that does not help, and stops them in reverse order.
 *
 * **Details** – *Bounded by* the program, which says what its children are (`maxChildren` for dynamic
 * ones); *owned by* a scope, a caller or another supervisor; *seen in* `TaskTree` (a task of kind
 * `supervisor` with one of kind `child` per child), in `weir_supervisor_restarts_total` and in the
 * log: every restart is one warning.
 *
 * @module
 */
import { Context, Duration, Effect, Layer, type Scope } from "effect"
import { CurrentChild } from "./child.ts"
import type { ChildRefused, StartFailed, SupervisorExhausted } from "./giveup.ts"
import type { Failure } from "./handle.ts"
import { addTo, asked, launch, type Observed } from "./launching.ts"
import { type ChildInfo, infoOf } from "./picture.ts"
import { gaveUp } from "./reports.ts"
import { restart as makePolicy, type RestartOptions, type RestartPolicy } from "./restarts.ts"
import { shown } from "./roster.ts"
import { type ChildSpec, type Options, settings, supervisors } from "./specs.ts"
import { Supervision } from "./supervision.ts"
import * as Task from "./Task.ts"

export { type ChildState } from "./child.ts"
export { type Dynamic, dynamic, type DynamicOptions } from "./dynamic.ts"
export { ChildRefused, StartFailed, SupervisorExhausted } from "./giveup.ts"
export { type Observed } from "./launching.ts"
export { type ChildInfo, type Counts } from "./picture.ts"
export { type RestartOptions, type RestartPolicy } from "./restarts.ts"
export {
  type ChildOptions,
  type ChildSpec,
  type CommonOptions,
  type Options,
  type RestartType,
  type Specs,
  type Strategy,
} from "./specs.ts"

/**
 * How often something that keeps failing is started again, and how long it waits before.
 *
 * **Details** – 3 restarts within 5 seconds, without waits, unless the options say otherwise. The
 * failure that exceeds them makes the owner give up; a failure counts until it is older than the
 * period. A quiet of `resetAfter` begins the back-off anew; it never takes back a counted failure.
 * Throws when an option is out of its range.
 *
 * @example Waits of 50 ms, 100 ms, 200 ms, … up to 10 seconds, as often as it takes
 * ```ts
 * import { Duration, Effect, Schedule } from "effect"
 * import { Supervisor } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const policy = Supervisor.restart({
 *   intensity: Infinity,
 *   backoff: Schedule.exponential("50 millis").pipe(
 *     Schedule.modifyDelay(({ duration }) =>
 *       Effect.succeed(Duration.min(duration, Duration.seconds(10)))
 *     ),
 *   ),
 * })
 * strictEqual(policy.periodMs, 5000)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const restart: (options?: RestartOptions) => RestartPolicy = makePolicy

/**
 * A running supervisor. What changes its children is done one after another, in the order of the
 * calls; a call that is interrupted before its turn is withdrawn, later ones are completed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Supervisor extends Observed {
  /**
   * Starts a further child, after all others in start order. It runs with the caller's services, but
   * not in its task. When it does not start, nothing is kept of it.
   */
  readonly startChild: <R>(
    spec: ChildSpec<R>,
  ) => Effect.Effect<ChildInfo, StartFailed | ChildRefused, Exclude<R, Scope.Scope>>
  /**
   * Stops a child, or takes back its restart. It stays in the list as stopped, unless it is temporary.
   * Together with a group it is started again like any other.
   */
  readonly terminateChild: (id: string) => Effect.Effect<void, ChildRefused>
  /** Starts a child that is stopped. */
  readonly restartChild: (id: string) => Effect.Effect<ChildInfo, StartFailed | ChildRefused>
  /** Forgets a child that is stopped. */
  readonly deleteChild: (id: string) => Effect.Effect<void, ChildRefused>
}

/**
 * The supervisor of {@link layer}. For a second one, make a service of your own.
 *
 * @category services
 * @since 0.1.0
 */
export const Supervisor: Context.Service<Supervisor, Supervisor> = Context.Service<Supervisor>(
  "weir/task/Supervisor",
)

/**
 * Starts a supervisor that belongs to the current scope, and returns once its children are started.
 *
 * **Details** – children are started one after another, each as soon as the one before it is
 * started (see `ready`). Each runs in a task of its own, without a deadline, below the supervisor's.
 *
 * - A child that ends is started again as its `restart` says, alone or with others as the `strategy`
 *   says: these are stopped at once, the youngest first, and started in order after the back-off.
 * - Every failure of a restart counts like any other. Beyond the `policy` (3 restarts in 5 seconds
 *   for each child) the supervisor gives up: it stops all children and fails.
 * - It stops them in reverse start order, one after another, each within its `shutdown`. JavaScript
 *   cannot kill: what overruns is abandoned, reported, and listed until it ends.
 * - Giving up is logged as an error. When the supervisor was made outside of any task, as by a layer,
 *   it ends the service as well: that drains, says why, and exits with 1. To deal with it yourself use
 *   {@link run}.
 *
 * Dies with one sentence when an option is out of its range.
 *
 * **Fails with** – {@link StartFailed} when a child ended before it was ready; those that had been
 * started are stopped by then.
 *
 * **Interruption** – stops the children that were started. The scope stops it as well.
 *
 * @example A worker that fails once
 * ```ts
 * import { Effect } from "effect"
 * import { Supervisor } from "@weir/runtime"
 * import { deepStrictEqual } from "node:assert/strict"
 *
 * let starts = 0
 * const worker = Effect.suspend(() => ++starts === 1 ? Effect.fail("lost") : Effect.never)
 *
 * const program = Effect.gen(function* () {
 *   const supervisor = yield* Supervisor.make({
 *     name: "workers",
 *     children: [{ id: "worker", effect: worker }],
 *   })
 *   yield* Effect.sleep("1 millis")
 *   const [info] = yield* supervisor.children
 *   return [info?.state, info?.restarts]
 * })
 * deepStrictEqual(await Effect.runPromise(Effect.scoped(program)), ["running", 1])
 * ```
 *
 * @see https://www.erlang.org/doc/apps/stdlib/supervisor.html
 * @category constructors
 * @since 0.1.0
 */
export const make = <Needs extends ReadonlyArray<unknown> = []>(
  options: Options<Needs>,
): Effect.Effect<Supervisor, StartFailed, Exclude<Needs[number], Scope.Scope> | Scope.Scope> =>
  Effect.map(
    launch(() => settings(options, false), specsOf(options)),
    ({ core, observed }): Supervisor => ({
      ...observed,
      startChild: (spec) => addTo(core, spec),
      terminateChild: (id) => asked(core, id, () => core.terminate(id)),
      restartChild: (id) => asked(core, id, () => Effect.map(core.again(id), infoOf)),
      deleteChild: (id) => asked(core, id, () => core.forget(id)),
    }),
  )

/**
 * Runs a supervisor until it ends: the form in which it can be a child of another one.
 *
 * **Details** – as {@link make}. It succeeds when its significant children have ended it
 * (`autoShutdown`). As a child it counts as started once its own children are.
 *
 * **Fails with** – {@link SupervisorExhausted} when it gave up, all children being stopped;
 * {@link StartFailed} when one did not start; the failures of a task that was cancelled.
 *
 * **Interruption** – stops the children in reverse start order, each within its `shutdown`.
 *
 * @example A tree
 * ```ts
 * import { Effect } from "effect"
 * import { Supervisor } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const inner = Supervisor.run({
 *   name: "inner",
 *   children: [{ id: "broken", effect: Effect.fail("no disk") }],
 * })
 * const outer = Supervisor.run({
 *   name: "outer",
 *   children: [{ id: "inner", effect: inner }],
 *   policy: Supervisor.restart({ intensity: 0 }),
 * })
 * const error = await Effect.runPromise(Effect.flip(outer))
 * strictEqual(error._tag, "SupervisorExhausted")
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const run = <Needs extends ReadonlyArray<unknown> = []>(
  options: Options<Needs>,
): Effect.Effect<
  void,
  SupervisorExhausted | StartFailed | Failure,
  Exclude<Needs[number], Scope.Scope>
> => {
  const self = Effect.withFiber((fiber) => {
    const above = fiber.getRef(CurrentChild)
    const core = new Supervision(settings(options, false), specsOf(options))
    const body = core.body(() => above?.ready())
    return Task.run(
      options.name,
      Effect.andThen(
        shown(options.name, () => core.children.values()),
        above === undefined ? Effect.tapError(body, told) : body,
      ),
      { kind: "supervisor", cleanup: Duration.infinity },
    )
  })
  supervisors.add(self)
  return self as Effect.Effect<
    void,
    SupervisorExhausted | StartFailed | Failure,
    Exclude<Needs[number], Scope.Scope>
  >
}

/**
 * A supervisor as a layer, under the service {@link Supervisor}.
 *
 * **Details** – as {@link make}: among the resources of a service its children run in the background,
 * and are stopped after the drain.
 *
 * **Fails with** – {@link StartFailed} when a child ended before it was ready.
 *
 * **Interruption** – as {@link make}.
 *
 * @example Background work of a service
 * ```ts
 * import { Effect, Schedule } from "effect"
 * import { Supervisor } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * let polls = 0
 * const poller = Effect.sync(() => ++polls).pipe(Effect.repeat(Schedule.spaced("1 second")))
 * const Background = Supervisor.layer({
 *   name: "background",
 *   children: [{ id: "poller", effect: poller }],
 * })
 * const program = Effect.flatMap(Supervisor.Supervisor, (supervisor) => supervisor.counts)
 * const { active } = await Effect.runPromise(Effect.provide(program, Background))
 * strictEqual(active, 1)
 * strictEqual(polls, 1)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Needs extends ReadonlyArray<unknown> = []>(
  options: Options<Needs>,
): Layer.Layer<Supervisor, StartFailed, Exclude<Needs[number], Scope.Scope>> =>
  Layer.effect(Supervisor, make(options)) as Layer.Layer<
    Supervisor,
    StartFailed,
    Exclude<Needs[number], Scope.Scope>
  >

/** The supervisor above logs a child that gave up; without one it is an error. */
const told = (error: SupervisorExhausted | StartFailed): Effect.Effect<void> =>
  error._tag === "StartFailed" ? Effect.void : gaveUp(error)

const specsOf = (
  { children }: { readonly children?: unknown },
): ReadonlyArray<ChildSpec<unknown>> => (children ?? []) as ReadonlyArray<ChildSpec<unknown>>

/**
 * Says that the child which the running effect belongs to is up: for children with `ready: "signal"`.
 *
 * **Details** – the start of the next child goes on, as does whoever asked for this one. A second time,
 * and outside a child, it does nothing.
 *
 * **Fails with** – nothing.
 *
 * **Interruption** – does not wait.
 *
 * @example A child that listens before the next one starts
 * ```ts
 * import { Effect } from "effect"
 * import { Supervisor } from "@weir/runtime"
 * import { deepStrictEqual } from "node:assert/strict"
 *
 * const steps: Array<string> = []
 * const step = (name: string) => Effect.sync(() => void steps.push(name))
 * const listener = Effect.sleep("5 millis").pipe(
 *   Effect.andThen(step("listening")),
 *   Effect.andThen(Supervisor.ready),
 *   Effect.andThen(Effect.never),
 * )
 * const program = Supervisor.make({
 *   name: "server",
 *   children: [
 *     { id: "listener", effect: listener, ready: "signal" },
 *     { id: "client", effect: Effect.andThen(step("calling"), Effect.never) },
 *   ],
 * })
 * await Effect.runPromise(Effect.scoped(program))
 * deepStrictEqual(steps, ["listening", "calling"])
 * ```
 *
 * @see `task_status.started` of Trio and `proc_lib:init_ack` of OTP
 * @category operations
 * @since 0.1.0
 */
export const ready: Effect.Effect<void> = Effect.withFiber((fiber) => {
  fiber.getRef(CurrentChild)?.ready()
  return Effect.void
})

/**
 * Declines to run: the child stays in the list as stopped, and is not started again by itself. A
 * temporary one is forgotten.
 *
 * **Details** – no failure, not even before the child is ready. Outside a child it only interrupts.
 *
 * **Fails with** – nothing; it ends the running effect.
 *
 * **Interruption** – is what it does.
 *
 * @example A child that has nothing to do here
 * ```ts
 * import { Effect } from "effect"
 * import { Supervisor } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const program = Effect.gen(function* () {
 *   const supervisor = yield* Supervisor.make({
 *     name: "jobs",
 *     children: [{ id: "cleaner", effect: Supervisor.ignore }],
 *   })
 *   return (yield* supervisor.children)[0]?.state
 * })
 * strictEqual(await Effect.runPromise(Effect.scoped(program)), "stopped")
 * ```
 *
 * @see `ignore` of OTP
 * @category operations
 * @since 0.1.0
 */
export const ignore: Effect.Effect<never> = Effect.withFiber((fiber) => {
  const incarnation = fiber.getRef(CurrentChild)
  if (incarnation !== undefined) incarnation.declined = true
  return Effect.interrupt
})
