/**
 * What an endpoint promises and needs: plain data, as an annotation on an endpoint, group or API.
 *
 * @module
 */
import { Context, type Duration } from "effect"
import { classes, type Criticality, isCriticality } from "../admission/Criticality.ts"
import { Mistake } from "../internal/mistake.ts"
import { durationMs } from "../internal/setting.ts"

/**
 * The fields, each optional: the endpoint's wins over the group's, the group's over the API's, the
 * API's over the service's default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy {
  /** Time from the arrival of the request to its answer. Default 30 seconds. */
  readonly deadline?: Duration.Input
  /**
   * Names of the bounded things (pools, bulkheads, single actors) that the handler uses. Each
   * request takes a ticket in all of them at the door, or is refused there: for an actor the first
   * message redeems it. An unknown name fails the start, and so do actors with keys.
   */
  readonly uses?: ReadonlyArray<string>
  /**
   * How long the handler works, waiting excluded, before anything has been measured. Without it the
   * first requests are admitted up to the hard bounds of the things they use.
   */
  readonly expected?: Duration.Input
  /**
   * How bad it is to refuse a request. A caller may be worth less than that, never more. Default
   * `critical`.
   */
  readonly priority?: Criticality
  /**
   * Whether a client may ask for `202 Accepted` and fetch the result later (`Prefer:
   * respond-async`). `always` answers 202 to everybody. Default `never`.
   */
  readonly async?: "never" | "allowed" | "always"
  /** Time for cleanup after a cancel before it is reported as abandoned. Default 5 seconds. */
  readonly cleanup?: Duration.Input
}

/**
 * The annotation.
 *
 * @example A deadline and a pool
 * ```ts
 * import { HttpApiEndpoint } from "effect/http-api"
 * import { Policy } from "@weir/runtime"
 *
 * export const endpoint = HttpApiEndpoint.get("look", "/stock/:sku")
 *   .annotate(Policy.Policy, { deadline: "500 millis", uses: ["database"] })
 * ```
 *
 * @category annotations
 * @since 0.1.0
 */
export const Policy: Context.Reference<Policy> = Context.Reference<Policy>("weir/edge/Policy", {
  defaultValue: () => ({}),
})

/**
 * A policy with every default filled in and every duration in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resolved {
  /** Time for the whole request. */
  readonly deadlineMs: number
  /** Names of the bounded things. */
  readonly uses: ReadonlyArray<string>
  /** Expected service time; `undefined` when nothing was declared. */
  readonly expectedMs: number | undefined
  /** The class of the endpoint; `undefined` when nothing was declared. */
  readonly priority: Criticality | undefined
  /** Whether 202 is possible. */
  readonly async: "never" | "allowed" | "always"
  /** Time for cleanup. */
  readonly cleanupMs: number
}

/** A field that is set to `undefined` counts as left out. */
const merge = (policies: ReadonlyArray<Policy>): Policy =>
  Object.fromEntries(
    policies.flatMap((policy) => Object.entries(policy).filter(([, value]) => value !== undefined)),
  )

/**
 * Merges policies, the later ones winning field by field, and checks them.
 *
 * **Details** – throws a `RangeError` with one sentence for a duration that is none or not positive,
 * for `uses` that is no array, and for a `priority` that is no class: a mistake of the program, found at the start.
 *
 * @category operations
 * @since 0.1.0
 */
export const resolve = (name: string, ...policies: ReadonlyArray<Policy>): Resolved => {
  const merged = merge(policies)
  const positive = (field: "deadline" | "cleanup" | "expected", otherwise: Duration.Input) => {
    const ms = durationMs(`Policy of ${name}: ${field}`, merged[field] ?? otherwise)
    if (ms > 0) return ms
    throw new Mistake(
      `Policy of ${name}: ${field} must be longer than zero. Leave it out for the default.`,
    )
  }
  if (merged.uses !== undefined && !Array.isArray(merged.uses)) {
    const given = JSON.stringify(merged.uses)
    throw new Mistake(
      `Policy of ${name}: uses is ${given}, but it must be an array of names. Write ` +
        `uses: [${typeof merged.uses === "string" ? given : '"database"'}].`,
    )
  }
  if (merged.priority !== undefined && !isCriticality(merged.priority)) {
    throw new Mistake(
      `Policy of ${name}: priority is ${JSON.stringify(merged.priority)}, which is no class. Use ` +
        `${classes.slice(0, -1).map((it) => `"${it}"`).join(", ")} or "${classes.at(-1)}".`,
    )
  }
  return {
    deadlineMs: positive("deadline", "30 seconds"),
    // A name that stands twice must not cost two tickets.
    uses: Array.from(new Set(merged.uses)),
    expectedMs: merged.expected === undefined ? undefined : positive("expected", "1 millis"),
    priority: merged.priority,
    async: merged.async ?? "never",
    cleanupMs: positive("cleanup", "5 seconds"),
  }
}
