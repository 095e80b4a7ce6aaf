/**
 * Stopping in phases, each with a budget of its own and all within one: it ends in time, whatever a
 * phase does, and says what each of them did.
 *
 * @module
 */
import { Cause, Clock, Duration, Effect, type Exit, type Scope } from "effect"
import * as CancelReason from "./CancelReason.ts"
import { CancelScope, root } from "./scope.ts"
import { defects, settled, startUnsafe, stop } from "./start.ts"
import { timersOf } from "./timers.ts"

/**
 * One step of a shutdown.
 *
 * @category models
 * @since 0.1.0
 */
export interface Phase<out R = never> {
  /** What it is called in reports and in the task tree. */
  readonly name: string
  /** Time it may take; less when less is left in all. */
  readonly budget: Duration.Input
  /** What it does. */
  readonly run: Effect.Effect<void, unknown, R>
}

/**
 * How one phase went.
 *
 * @category models
 * @since 0.1.0
 */
export interface PhaseReport {
  /** Its name. */
  readonly phase: string
  /** Time it took, its cleanup included, in milliseconds. */
  readonly tookMs: number
  /** Time that it had, in milliseconds. */
  readonly budgetMs: number
  /** Whether it was interrupted, or not even started, because its time was up. */
  readonly overran: boolean
  /** Whether it still ran after the interrupt and was left behind. */
  readonly abandoned: boolean
  /** Why it failed, if it did. */
  readonly error: string | undefined
}

/**
 * Every phase, in the order in which they ran.
 *
 * @category models
 * @since 0.1.0
 */
export type Report = ReadonlyArray<PhaseReport>

/**
 * Options of {@link run}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<out R = never> {
  /** Time for all phases together, cleanups included. */
  readonly total: Duration.Input
  /** Time a phase that was interrupted has to clean up, within the total. Default 1 second. */
  readonly cleanup?: Duration.Input
  /** Told after each phase; limited to the cleanup time, and its failure changes nothing. */
  readonly onPhase?: (report: PhaseReport) => Effect.Effect<void, unknown, R>
}

/**
 * Runs the phases one after another and reports on each.
 *
 * **Details** – a phase runs as a task of kind `shutdown` without a parent; `Deadline.remaining`
 * tells it what it has left. When its time is up it is cancelled with the reason `Shutdown`, gets
 * the cleanup time, and is left behind if it still has not ended. A phase that fails, dies or overruns
 * does not stop the next one. When the total is spent, the phases that remain are reported as overrun
 * without being started. So the whole takes at most the total.
 *
 * **Fails with** – nothing; failures are in the report.
 *
 * **Interruption** – cancels the phase that runs, waits for its cleanup at most the cleanup time, and
 * starts none of the others.
 *
 * @example Two phases
 * ```ts
 * import { Effect } from "effect"
 * import { Shutdown } from "@weir/runtime"
 * import { deepStrictEqual } from "node:assert/strict"
 *
 * const report = await Effect.runPromise(Shutdown.run([
 *   { name: "drain", budget: "10 millis", run: Effect.never },
 *   { name: "close", budget: "1 second", run: Effect.void },
 * ], { total: "5 seconds" }))
 * deepStrictEqual(report.map(({ phase, overran }) => [phase, overran]), [
 *   ["drain", true],
 *   ["close", false],
 * ])
 * ```
 *
 * @see the coordinated shutdown of Akka and Pekko, which has no global budget
 * @category operations
 * @since 0.1.0
 */
export const run = <R = never, R2 = never>(
  phases: ReadonlyArray<Phase<R>>,
  options: Options<R2>,
): Effect.Effect<Report, never, Exclude<R | R2, Scope.Scope>> =>
  Effect.gen(function* () {
    const started = yield* Clock.currentTimeMillis
    const end = started + Duration.toMillis(Duration.fromInputUnsafe(options.total))
    const cleanupMs = Duration.toMillis(Duration.fromInputUnsafe(options.cleanup ?? "1 second"))
    const report: Array<PhaseReport> = []
    for (const { name, budget, run } of phases) {
      const budgetMs = Duration.toMillis(Duration.fromInputUnsafe(budget))
      const line = yield* runPhase(name, run, budgetMs, end, cleanupMs)
      report.push(line)
      const tell = options.onPhase
      if (tell !== undefined) {
        const told = Effect.suspend(() => tell(line))
        yield* runPhase(`${name}: report`, told, cleanupMs, end, 0)
      }
    }
    return report
  }) as Effect.Effect<Report>

const runPhase = <R>(
  name: string,
  effect: Effect.Effect<void, unknown, R>,
  ownMs: number,
  end: number,
  cleanupMs: number,
): Effect.Effect<PhaseReport> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const begin = clock.currentTimeMillisUnsafe()
      const budgetMs = Math.max(0, Math.min(ownMs, end - begin))
      const deadline = begin + budgetMs
      const scope = new CancelScope(root, deadline, undefined, undefined, undefined)
      let overran = budgetMs === 0
      const started = startUnsafe(
        fiber,
        name,
        effect,
        {
          kind: "shutdown",
          deadlineMs: Infinity,
          cleanupMs: end === Infinity
            ? cleanupMs
            : Math.max(0, Math.min(cleanupMs, end - deadline)),
          detached: false,
        },
        scope,
        overran ? CancelReason.Shutdown : undefined,
      )
      const { record } = started
      const line = (): PhaseReport => ({
        phase: name,
        tookMs: clock.currentTimeMillisUnsafe() - begin,
        budgetMs,
        overran,
        abandoned: !record.ended,
        error: budgetMs === 0
          ? "not started: the time for the whole shutdown was spent"
          : errorOf(started.exit(), overran),
      })
      if (record.ended) return Effect.succeed(line())
      if (deadline !== Infinity) {
        const timers = timersOf(clock)
        const timer = timers.schedule(deadline, () => {
          overran = true
          record.cancel(CancelReason.Shutdown)
        })
        record.onSettled(() => timers.cancel(timer))
      }
      return Effect.map(
        Effect.onInterrupt(
          restore(settled(record)),
          () => Effect.flatMap(stop(record, "shutdown"), () => defects(started)),
        ),
        line,
      )
    })
  )

/** The interrupt itself is told by `overran`; everything else is an error. */
const errorOf = (
  exit: Exit.Exit<unknown, unknown> | undefined,
  overran: boolean,
): string | undefined => {
  if (exit === undefined) return "left behind: it did not end after its interrupt"
  if (exit._tag === "Success") return undefined
  const reasons = exit.cause.reasons.filter((reason) => reason._tag !== "Interrupt" || !overran)
  return reasons.length === 0 ? undefined : Cause.pretty(Cause.fromReasons(reasons))
}
