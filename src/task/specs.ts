import { type Context, Duration, type Effect } from "effect"
import { Mistake } from "../internal/mistake.ts"
import { defaultRestart, type RestartPolicy } from "./restarts.ts"
import { defaultCleanupMs } from "./start.ts"

/**
 * When a child that has ended is started again: `permanent` always, `transient` unless it ended
 * normally or because somebody cancelled it, `temporary` never.
 *
 * @category models
 * @since 0.1.0
 */
export type RestartType = "permanent" | "transient" | "temporary"

/**
 * Which children are started again with the one that failed: none, all, or those after it.
 *
 * @category models
 * @since 0.1.0
 */
export type Strategy = "one-for-one" | "one-for-all" | "rest-for-one"

/**
 * How a child is run.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildOptions {
  /** When it is started again. Default `permanent`. */
  readonly restart?: RestartType
  /**
   * Time for its cleanup when it is stopped. Default 5 seconds, `infinity` for a supervisor; what
   * overruns is abandoned, which is reported. `brutal` interrupts it and does not wait at all.
   */
  readonly shutdown?: Duration.Input | "brutal" | "infinity"
  /** Whether its end counts for `autoShutdown`; not with `permanent`. Default false. */
  readonly significant?: boolean
  /**
   * When it counts as started: `immediately`, or with its `signal` that it is ready, which has no
   * time limit but the effect's own. Default `immediately`; a supervisor gives the signal once its own
   * children are started.
   */
  readonly ready?: "immediately" | "signal"
  /** What it is. Default: a `supervisor` when its effect is that of `Supervisor.run` itself. */
  readonly type?: "worker" | "supervisor"
}

/**
 * A child: any effect, under an id. Each start runs it anew, in a task and a Scope of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildSpec<out R = never> extends ChildOptions {
  /** Its name, unique in its supervisor. */
  readonly id: string
  /** What it does; as a rule it does not end. */
  readonly effect: Effect.Effect<unknown, unknown, R>
}

/**
 * What every supervisor is told, whatever its children are.
 *
 * @category models
 * @since 0.1.0
 */
export interface CommonOptions {
  /** What it is called in logs, in errors, in metrics and in the task tree. */
  readonly name: string
  /** How often, and after which waits, it starts children again. Default: see `restart`. */
  readonly policy?: RestartPolicy
  /**
   * Whose failures count together: those of each `child` (the default), or all of the
   * `supervisor`'s, as in OTP. The back-off is always that of the child.
   */
  readonly budget?: "child" | "supervisor"
  /** Whether it ends, normally, with its significant children. Default `never`. */
  readonly autoShutdown?: "never" | "any" | "all"
}

/**
 * Children, each with needs of its own.
 *
 * @category models
 * @since 0.1.0
 */
export type Specs<Needs extends ReadonlyArray<unknown>> = {
  readonly [K in keyof Needs]: ChildSpec<Needs[K]>
}

/**
 * Options of `make`, `run` and `layer`; `Needs` are the services that the effects of the children
 * need.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Needs extends ReadonlyArray<unknown> = ReadonlyArray<never>>
  extends CommonOptions {
  /** Its children, in the order in which they are started. Default none. */
  readonly children?: Specs<Needs> | readonly [...Specs<Needs>]
  /** Which children are started again together. Default `one-for-one`. */
  readonly strategy?: Strategy
}

/** The effects that are supervisors. */
export const supervisors: WeakSet<object> = new WeakSet()

/** A child's options with every default filled in. */
export interface Resolved {
  readonly id: string
  readonly effect: Effect.Effect<unknown, unknown>
  readonly restart: RestartType
  readonly cleanupMs: number
  readonly brutal: boolean
  readonly significant: boolean
  readonly signals: boolean
  readonly type: "worker" | "supervisor"
  /** Its label in metrics: children that come and go share one. */
  readonly label: string
  /** Forgotten as soon as it has stopped, whatever its type. */
  readonly passing: boolean
  /** What it runs in. */
  readonly context: Context.Context<never>
}

/** A supervisor's options with every default filled in. */
export interface Settings {
  readonly name: string
  readonly strategy: Strategy
  readonly policy: RestartPolicy
  readonly shared: boolean
  readonly autoShutdown: "never" | "any" | "all"
  /** Whether its children are alike, have no order, and stop all at once. */
  readonly alike: boolean
}

/** Fills the defaults in; throws a {@link Mistake}. */
export const settings = (
  options: CommonOptions & { readonly strategy?: Strategy },
  alike: boolean,
): Settings => {
  if (options.name === "") {
    throw new Mistake("Cannot make a supervisor: its name is empty. Give it a name.")
  }
  return {
    name: options.name,
    strategy: options.strategy ?? "one-for-one",
    policy: options.policy ?? defaultRestart,
    shared: options.budget === "supervisor",
    autoShutdown: options.autoShutdown ?? "never",
    alike,
  }
}

/** Fills the defaults in; throws a {@link Mistake}. */
export const resolve = (
  spec: ChildSpec<unknown>,
  owner: Settings,
  context: Context.Context<never>,
  label: string,
): Resolved => {
  const what = `Cannot use the child "${spec.id}" of supervisor "${owner.name}"`
  const restart = spec.restart ?? "permanent"
  const significant = spec.significant ?? false
  if (spec.id === "") {
    throw new Mistake(`A child of supervisor "${owner.name}" has no id. Give it one.`)
  }
  if (significant && restart === "permanent") {
    throw new Mistake(
      `${what}: it is significant and permanent, but a permanent child never ends. ` +
        "Make it transient or temporary.",
    )
  }
  if (significant && owner.autoShutdown === "never") {
    throw new Mistake(
      `${what}: it is significant, but its supervisor never shuts itself down. ` +
        "Set autoShutdown to any or all.",
    )
  }
  const type = spec.type ?? (supervisors.has(spec.effect) ? "supervisor" : "worker")
  const { shutdown } = spec
  return {
    id: spec.id,
    effect: spec.effect as Effect.Effect<unknown, unknown>,
    restart,
    cleanupMs: shutdown === "brutal"
      ? 0
      : shutdown === "infinity" || (shutdown === undefined && type === "supervisor")
      ? Infinity
      : shutdown === undefined
      ? defaultCleanupMs
      : Duration.toMillis(Duration.fromInputUnsafe(shutdown)),
    brutal: shutdown === "brutal",
    significant,
    signals: (spec.ready ?? (type === "supervisor" ? "signal" : "immediately")) === "signal",
    type,
    label,
    passing: owner.alike,
    context,
  }
}
