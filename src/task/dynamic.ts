import { Effect, type Scope } from "effect"
import { Quota } from "../bounded/quota.ts"
import { register } from "../bounded/Saturation.ts"
import type { ChildRefused, StartFailed } from "./giveup.ts"
import { addTo, asked, launch, type Observed } from "./launching.ts"
import type { ChildInfo } from "./picture.ts"
import { type ChildOptions, type CommonOptions, settings } from "./specs.ts"

/**
 * Options of {@link dynamic}.
 *
 * @category models
 * @since 0.1.0
 */
export interface DynamicOptions<in Args, out R = never> extends CommonOptions, ChildOptions {
  /** Makes a child's effect; called for every start, also when it is started again. */
  readonly child: (args: Args) => Effect.Effect<unknown, unknown, R>
  /**
   * Children at once; beyond that a start is refused, and it is a bounded thing of its own. Default: no
   * limit but the program's own.
   */
  readonly maxChildren?: number
}

/**
 * A supervisor whose children are all alike, and come and go.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dynamic<in Args> extends Observed {
  /** Starts a child. Default id: its number, counted from 1. */
  readonly startChild: (
    args: Args,
    options?: { readonly id?: string },
  ) => Effect.Effect<ChildInfo, StartFailed | ChildRefused>
  /** Stops a child, or takes back its restart, and forgets it. */
  readonly terminateChild: (id: string) => Effect.Effect<void, ChildRefused>
}

/**
 * Starts a supervisor, without children, for any number of children that are all alike.
 *
 * **Details** – as `make`, one-for-one, and like `simple_one_for_one` of OTP: a child is forgotten as
 * soon as it has ended for good, starting and ending one costs the same however many there are, and
 * at the end all are stopped at once and awaited together. In metrics they share the label `dynamic`.
 *
 * **Fails with** – nothing. Dies with one sentence when an option is out of its range.
 *
 * **Interruption** – the scope stops it.
 *
 * @example A child for each connection
 * ```ts
 * import { Effect } from "effect"
 * import { Supervisor } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const program = Effect.gen(function* () {
 *   const connections = yield* Supervisor.dynamic({
 *     name: "connections",
 *     restart: "temporary",
 *     child: (address: string) => Effect.andThen(Effect.logDebug(address), Effect.never),
 *   })
 *   yield* connections.startChild("10.0.0.1")
 *   yield* connections.startChild("10.0.0.2")
 *   return (yield* connections.counts).active
 * })
 * strictEqual(await Effect.runPromise(Effect.scoped(program)), 2)
 * ```
 *
 * @see https://www.erlang.org/doc/system/sup_princ.html#simplified-one_for_one-supervisors
 * @category constructors
 * @since 0.1.0
 */
export const dynamic = <Args, R = never>(
  options: DynamicOptions<Args, R>,
): Effect.Effect<Dynamic<Args>, never, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<Exclude<R, Scope.Scope>>()
    const { maxChildren, name } = options
    const places = maxChildren === undefined
      ? undefined
      : yield* Effect.sync(() => new Quota("supervisor", name, maxChildren))
    if (places !== undefined) yield* register(places)
    const { core, observed } = yield* Effect.orDie(
      launch(() => settings(options, true), [], places),
    )
    const how: ChildOptions = options
    let started = 0
    const startChild: Dynamic<Args>["startChild"] = (args, named) =>
      Effect.suspend(() => {
        const effect = Effect.suspend(() => options.child(args))
        const spec = { ...how, id: named?.id ?? String(++started), effect }
        return Effect.provideContext(addTo(core, spec), context)
      })
    return {
      ...observed,
      startChild,
      terminateChild: (id) => asked(core, id, () => core.terminate(id)),
    }
  })
