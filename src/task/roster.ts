import { Effect, type Scope } from "effect"
import type { Stats } from "../bounded/Bounded.ts"
import { Quota } from "../bounded/quota.ts"
import { register, Saturation } from "../bounded/Saturation.ts"
import type { Child } from "./child.ts"
import { countsOf } from "./picture.ts"

/**
 * A supervisor among the bounded things: its children are the places, those that run are in use, and
 * those that wait for their restart are waiting. Nothing can be reserved in it.
 */
class Roster extends Quota {
  private readonly children: () => Iterable<Child>
  private most = 0

  constructor(name: string, children: () => Iterable<Child>) {
    super("supervisor", name, 1)
    this.children = children
  }

  override stats(now: number): Stats {
    const { active, restarting, specs } = countsOf(this.children())
    // Nobody counts between two readings; this is the largest number that one of them has seen.
    this.most = Math.max(this.most, restarting)
    return {
      ...super.stats(now),
      capacity: Math.max(1, specs),
      inUse: active,
      waiting: restarting,
      queueCapacity: specs,
      highWater: this.most,
    }
  }
}

/** Shows a supervisor in `/saturation` until the scope closes; the second of a name gets a number. */
export const shown = (
  name: string,
  children: () => Iterable<Child>,
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.withFiber((fiber) => {
    const registry = fiber.getRef(Saturation)
    let free = name
    for (let n = 2; registry.get(free) !== undefined; n++) free = `${name} ${n}`
    return register(new Roster(free, children))
  })
