import { Context, Duration, Effect, Exit, type Scope, Tracer } from "effect"
import type { Quota } from "../bounded/quota.ts"
import { Mistake } from "../internal/mistake.ts"
import { type Child, CurrentChild } from "./child.ts"
import { Fatal } from "./fatal.ts"
import { type ChildRefused, StartFailed, type SupervisorExhausted } from "./giveup.ts"
import type { Failure } from "./handle.ts"
import { type ChildInfo, type Counts, countsOf, infoOf } from "./picture.ts"
import { gaveUp } from "./reports.ts"
import { shown } from "./roster.ts"
import { CurrentScope } from "./scope.ts"
import type { ChildSpec, Settings } from "./specs.ts"
import { Supervision } from "./supervision.ts"
import * as Task from "./Task.ts"

/**
 * What one can see of any supervisor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Observed {
  /** Its name. */
  readonly name: string
  /** Its children in start order; exact at every instant, also while one waits for its restart. */
  readonly children: Effect.Effect<ReadonlyArray<ChildInfo>>
  /** The same as numbers. */
  readonly counts: Effect.Effect<Counts>
  /**
   * Waits until it has ended: normally with its significant children, with `SupervisorExhausted`, or
   * because it was cancelled.
   */
  readonly await: Effect.Effect<void, SupervisorExhausted | Failure>
}

/** A supervisor that was started, and what everybody may see of it. */
export interface Launched {
  readonly core: Supervision
  readonly observed: Observed
}

type Ends = SupervisorExhausted | StartFailed | Failure

/** Starts a supervisor in the current scope, and waits until its first children are started. */
export const launch = (
  settings: () => Settings,
  specs: ReadonlyArray<ChildSpec<unknown>>,
  places?: Quota,
): Effect.Effect<Launched, StartFailed, Scope.Scope> =>
  Effect.suspend(() => {
    const core = new Supervision(settings(), specs, places)
    const { name } = core.settings
    return Effect.gen(function* () {
      // One with places shows these.
      if (places === undefined) yield* shown(name, () => core.children.values())
      const task = yield* Task.start(name, Effect.tapError(core.body(() => {}), tell), {
        kind: "supervisor",
        cleanup: Duration.infinity,
      })
      if (!core.begun) {
        const exit = yield* Effect.raceFirst(
          Effect.as(core.up, undefined),
          task.await as Effect.Effect<Exit.Exit<void, Ends>>,
        )
        if (exit !== undefined) yield* notStarted(exit)
      }
      const observed: Observed = {
        name,
        children: Effect.sync(() => Array.from(core.children.values(), infoOf)),
        counts: Effect.sync(() => countsOf(core.children.values())),
        await: task.join as Effect.Effect<void, SupervisorExhausted | Failure>,
      }
      return { core, observed }
    })
  })

const notStarted = (exit: Exit.Exit<void, Ends>): Effect.Effect<void, StartFailed> => {
  if (Exit.isSuccess(exit)) return Effect.void
  const fails = exit.cause.reasons.filter((reason) => reason._tag === "Fail")
  const own = fails.map((reason) => reason.error).find((error) => error instanceof StartFailed)
  if (own !== undefined) return Effect.fail(own)
  // Who cancelled it cancelled its start as well.
  return fails.length > 0 ? Effect.interrupt : exit as Exit.Exit<void, never>
}

/** Nobody need look at how it ends: so it is logged, and ends the service unless it is below a task. */
const tell = (error: SupervisorExhausted | StartFailed): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    if (error instanceof StartFailed) return Effect.void
    const above = fiber.getRef(CurrentScope).parent?.task
    return Effect.andThen(
      gaveUp(error),
      Effect.sync(() => {
        if (above === undefined) fiber.getRef(Fatal)(error)
      }),
    )
  })

/** Has the supervisor do something about a child. */
export const asked = <A, E>(
  core: Supervision,
  child: string,
  work: () => Effect.Effect<A, E>,
): Effect.Effect<A, E | ChildRefused> =>
  Effect.withFiber((fiber) => {
    const own = fiber.getRef(CurrentChild)
    if (own?.isReady === false && core.children.get(own.child.spec.id) === own.child) {
      return Effect.die(
        new Mistake(
          `Child "${own.child.spec.id}" asks its supervisor "${core.settings.name}" to do ` +
            "something, but that waits for it to be ready. Say Supervisor.ready first.",
        ),
      )
    }
    return core.ask(child, work)
  })

/** Has it start a further child, with the caller's services but none of what the caller is in. */
export const addTo = <R>(
  core: Supervision,
  spec: ChildSpec<R>,
): Effect.Effect<ChildInfo, StartFailed | ChildRefused, Exclude<R, Scope.Scope>> =>
  Effect.flatMap(
    Effect.context<Exclude<R, Scope.Scope>>(),
    (context) => {
      const own = Context.omit(Tracer.ParentSpan)(
        context as Context.Context<Tracer.ParentSpan>,
      ) as Context.Context<never>
      const work = (): Effect.Effect<Child, StartFailed | ChildRefused> => core.add(spec, own)
      return asked(core, spec.id, () => Effect.map(work(), infoOf))
    },
  )
