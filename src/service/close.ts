import { Duration, Effect, type Exit, Layer, Scope } from "effect"
import { endsWithin } from "./drain.ts"

/** A part of the service was left behind: its finalizers did not end in time. */
export class NotClosed extends Error {
  readonly _tag = "NotClosed"
}

/**
 * The layer, but what is below it need not wait for its close for ever. One finalizer that hangs, or
 * a request that was left behind with a connection in its hands, would otherwise keep the process.
 */
export const closesWithin = <A, E, R>(
  layer: Layer.Layer<A, E, R>,
  name: string,
  ms: number,
): Layer.Layer<A, E, R> =>
  Layer.fromBuild((memoMap, scope) =>
    Effect.suspend(() => {
      const own = Scope.makeUnsafe()
      return Effect.andThen(
        Scope.addFinalizerExit(scope, (exit) => close(own, exit, name, ms)),
        Layer.buildWithMemoMap(layer, memoMap, own),
      )
    })
  )

const close = (
  scope: Scope.Closeable,
  exit: Exit.Exit<unknown, unknown>,
  name: string,
  ms: number,
) =>
  Effect.flatMap(
    endsWithin(`close: ${name}`, Scope.close(scope, exit), ms),
    (ended) =>
      ended ? Effect.void : Effect.die(
        new NotClosed(
          `The ${name} did not close within ${
            Duration.format(Duration.millis(ms))
          } and were left ` +
            "behind. Look for a finalizer that waits without a timeout.",
        ),
      ),
  )
