import { type Clock, Duration, Effect } from "effect"
import type { World } from "./control.ts"
import { lengthOf } from "./scenario.ts"

/**
 * Effect's Clock on the simulator's time, for what our code runs in the background: its sleeps are
 * timers of the simulated process, so a blocked event loop is late for them. Who sleeps for ever is
 * not woken any more once the scenario is long over, or it would never end.
 */
export const clockOf = (world: World): Clock.Clock => {
  const end = lengthOf(world.scenario) + 60_000
  const nanos = () => BigInt(Math.round(world.now() * 1e6))
  return {
    currentTimeMillisUnsafe: () => world.now(),
    currentTimeMillis: Effect.sync(() => world.now()),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.callback<void>((resume) => {
        // A sleep never ends on the stack of its caller.
        const at = world.now() + Math.max(0.001, Duration.toMillis(duration))
        if (at <= end) world.timer(at, () => resume(Effect.void))
      }),
  }
}
