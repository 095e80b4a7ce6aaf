import { Context, Duration, Effect, type Exit, Layer, Scope } from "effect"
import { ActorSystem } from "../actor/ActorSystem.ts"
import { endsWithin } from "./drain.ts"

/** A part of the service was left behind: its finalizers did not end in time. */
export class NotClosed extends Error {
  readonly _tag = "NotClosed"
}

/**
 * The layer, but what is below it need not wait for its close for ever. One finalizer that hangs, or
 * a request that was left behind with a connection in its hands, would otherwise keep the process.
 *
 * Its actors stop first, in a time of their own: what they were told before is handled.
 */
export const closesWithin = <A, E, R>(
  layer: Layer.Layer<A, E, R>,
  name: string,
  ms: number,
): Layer.Layer<A, E, R> =>
  Layer.fromBuild((memoMap, scope) =>
    Effect.withFiber((fiber) => {
      const own = Scope.makeUnsafe()
      const system = Context.getOrUndefined(
        fiber.context as Context.Context<ActorSystem>,
        ActorSystem,
      )?.unsafe
      const below = new Set(system?.kinds)
      const actors = Effect.suspend(() => {
        const kinds = system?.kinds.filter((kind) => !below.has(kind)) ?? []
        return kinds.length === 0 ? Effect.void : stopActors(system!, kinds, ms)
      })
      return Effect.andThen(
        Scope.addFinalizerExit(
          scope,
          (exit) => Effect.andThen(actors, close(own, exit, name, ms)),
        ),
        Layer.buildWithMemoMap(layer, memoMap, own),
      )
    })
  )

type System = ActorSystem["unsafe"]

const stopActors = (system: System, kinds: System["kinds"], cleanupMs: number) =>
  Effect.gen(function* () {
    const actors = kinds.map(({ name }) => name).join(", ")
    let report: Effect.Success<ReturnType<System["stop"]>> | undefined
    const ended = yield* endsWithin(
      "stop: actors",
      Effect.map(system.stop(kinds), (it) => {
        report = it
      }),
      system.stopMs + cleanupMs,
    )
    if (!ended) return yield* Effect.logWarning(`Actors were left behind: ${actors}`)
    const { cancelled, discarded, pending } = report!
    yield* Effect.logInfo(
      `Actors stopped (${actors}): ${pending} pending, ${cancelled} cancelled, ` +
        `${discarded} discarded`,
    )
    if (discarded > 0) {
      yield* Effect.logWarning(
        `${discarded} ${discarded === 1 ? "message was" : "messages were"} accepted and not ` +
          "handled: the grace was over.",
      )
    }
  })

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
