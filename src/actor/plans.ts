import { Context } from "effect"
import type { Rpc } from "effect/rpc"
import { Mistake } from "../internal/mistake.ts"
import type { Plan } from "./plan.ts"

/**
 * Marks a message that may run while others of the same actor run.
 *
 * **Details** – only while these are suspended: JavaScript runs one thing at a time. It also overtakes
 * queued messages that may not. Default false.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Reentrant: Context.Reference<boolean> = Context.Reference<boolean>(
  "weir/actor/Reentrant",
  { defaultValue: () => false },
)

/**
 * Marks a message whose handler, once started, runs to its end whoever leaves. Default false.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Uninterruptible: Context.Reference<boolean> = Context.Reference<boolean>(
  "weir/actor/Uninterruptible",
  { defaultValue: () => false },
)

/**
 * How urgent a message is: those with a higher number are handled first, those with the same one in
 * the order in which they came. Any whole number; at most 16 different ones in a protocol. Default 0.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Priority: Context.Reference<number> = Context.Reference<number>(
  "weir/actor/Priority",
  { defaultValue: () => 0 },
)

/**
 * How often a message is tried again, by the next incarnation, when the actor crashed while handling
 * it. Only for handlers that may run twice. Default 0.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Retries: Context.Reference<number> = Context.Reference<number>(
  "weir/actor/Retries",
  { defaultValue: () => 0 },
)

const maxLanes = 16

/** Reads the annotations of a protocol, once. */
export const plansOf = (
  name: string,
  protocol: ReadonlyArray<Rpc.Any>,
): { readonly plans: Readonly<Record<string, Plan>>; readonly lanes: number } => {
  const rpcs = protocol as ReadonlyArray<Rpc.AnyWithProps>
  const levels = Array.from(new Set(rpcs.map((rpc) => Context.get(rpc.annotations, Priority))))
    .sort((a, b) => b - a)
  if (levels.length > maxLanes || levels.some((level) => !Number.isInteger(level))) {
    throw new Mistake(
      `Actor "${name}": priorities are ${levels.join(", ")}. ` +
        `Use whole numbers, at most ${maxLanes} different ones.`,
    )
  }
  const plans: Record<string, Plan> = {}
  for (const rpc of rpcs) {
    if (Object.hasOwn(plans, rpc._tag)) {
      throw new Mistake(`Actor "${name}": two messages are named "${rpc._tag}".`)
    }
    plans[rpc._tag] = {
      tag: rpc._tag,
      lane: levels.indexOf(Context.get(rpc.annotations, Priority)),
      reentrant: Context.get(rpc.annotations, Reentrant),
      uninterruptible: Context.get(rpc.annotations, Uninterruptible),
      retries: Context.get(rpc.annotations, Retries),
    }
  }
  return { plans, lanes: Math.max(1, levels.length) }
}
