import { Effect, type Scope } from "effect"
import type { Bounded } from "../bounded/Bounded.ts"
import * as Saturation from "../bounded/Saturation.ts"
import type { Kind } from "./kind.ts"
import type { System } from "./system.ts"

/** Runs a kind as a child of the system's supervisor until the scope closes, seen as that bounded thing. */
export const installed = (
  system: System,
  kind: Kind,
  bounded: Bounded,
): Effect.Effect<void, never, Scope.Scope> =>
  Saturation.register(bounded).pipe(
    Effect.andThen(Effect.acquireRelease(
      Effect.sync(() => system.install(kind)),
      () => Effect.sync(() => system.remove(kind)),
    )),
    Effect.andThen(Effect.acquireRelease(
      Effect.tap(system.supervisor, (supervisor) =>
        Effect.orDie(supervisor.startChild({
          id: kind.name,
          effect: kind.life,
          // Its actors have budgets of their own.
          shutdown: "infinity",
        }))),
      // A supervisor that ends refuses; its children may still be ending, and what is below this
      // layer must be there until they have.
      (supervisor) =>
        supervisor.terminateChild(kind.name).pipe(
          Effect.andThen(supervisor.deleteChild(kind.name)),
          Effect.ignore,
          Effect.andThen(kind.stop),
        ),
    )),
    Effect.asVoid,
  )
