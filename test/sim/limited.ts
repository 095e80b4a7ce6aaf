import type { Policy, World } from "./control.ts"
import { onFifo } from "./fifo.ts"
import type { LimitPolicy } from "./policies/policy.ts"

/**
 * A limit on what is inside at once, in front of a plain pool: what is above it is refused. What the
 * limit sees is the time from the door to the answer, so the wait for the pool too.
 */
export const limited = (
  name: string,
  about: string,
  make: (world: World) => LimitPolicy,
): Policy =>
  onFifo(name, about, true, (world) => {
    const policy = make(world)
    return {
      enter: (_now, inside, call) => {
        if (inside >= policy.limit) return { reason: "Overloaded", retryAfterMs: 0 }
        call.memo = inside + 1
        return undefined
      },
      done: (now, call, ended) =>
        policy.onSample(now, now - call.seenAt, call.memo as number, ended !== "completed"),
    }
  })
