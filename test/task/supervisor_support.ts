import { Supervisor } from "@weir/runtime"
import { Cause, Deferred, Effect, Exit, Logger, References, Scope } from "effect"
import { Trace } from "./support.ts"

/** Lets everything happen that is due now. */
export const settle: Effect.Effect<void> = Effect.forEach(
  Array.from({ length: 30 }),
  () => Effect.yieldNow,
  { discard: true },
)

/** Workers that say what they do, and end when they are told to. */
export class Workers extends Trace {
  private readonly ends = new Map<string, Deferred.Deferred<unknown, unknown>>()
  /** Starts of each so far. */
  readonly starts = new Map<string, number>()

  /** Says when it starts and ends; `first` comes between its start and its work. */
  readonly worker = (
    id: string,
    first: (nth: number) => Effect.Effect<unknown, unknown> = () => Effect.void,
  ): Effect.Effect<unknown, unknown> =>
    Effect.suspend(() => {
      const nth = (this.starts.get(id) ?? 0) + 1
      this.starts.set(id, nth)
      const end = Deferred.makeUnsafe<unknown, unknown>()
      this.ends.set(id, end)
      return this.add(`start ${id}`).pipe(
        Effect.andThen(Effect.suspend(() => first(nth))),
        Effect.andThen(Supervisor.ready),
        Effect.andThen(Deferred.await(end)),
        Effect.onInterrupt(() => this.reason(`stop ${id}`)),
      )
    })

  readonly child = (id: string, options: Supervisor.ChildOptions = {}): Supervisor.ChildSpec => ({
    id,
    effect: this.worker(id),
    ...options,
  })

  /** Ends it with that, and lets everything follow. */
  readonly end = (id: string, how: Effect.Effect<unknown, unknown>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const end = this.ends.get(id)!
      return Effect.andThen(Deferred.complete(end, how), settle)
    })

  readonly fail = (id: string): Effect.Effect<void> => this.end(id, Effect.fail("broken"))

  /** The steps since the last call. */
  readonly taken = (): ReadonlyArray<string> => this.steps.splice(0)
}

export interface Line {
  readonly level: string
  readonly message: string
  readonly cause: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** Keeps what is logged. */
export const logged = (): {
  readonly lines: Array<Line>
  readonly layer: ReturnType<typeof Logger.layer>
} => {
  const lines: Array<Line> = []
  const logger = Logger.make((entry) => {
    const parts = Array.isArray(entry.message) ? entry.message : [entry.message]
    const annotations = entry.fiber.getRef(References.CurrentLogAnnotations)
    lines.push({
      level: entry.logLevel,
      message: String(parts[0]),
      cause: entry.cause.reasons.length === 0 ? "" : String(Cause.squash(entry.cause)),
      annotations,
    })
  })
  return { lines, layer: Logger.layer([logger]) }
}

export const states = (
  supervisor: Supervisor.Observed,
): Effect.Effect<Readonly<Record<string, string>>> =>
  Effect.map(
    supervisor.children,
    (children) => Object.fromEntries(children.map(({ id, state }) => [id, state])),
  )

/** The task of each child: the same as long as it is the same incarnation. */
export const identities = (
  supervisor: Supervisor.Observed,
): Effect.Effect<Readonly<Record<string, string | undefined>>> =>
  Effect.map(
    supervisor.children,
    (children) => Object.fromEntries(children.map(({ id, taskId }) => [id, taskId])),
  )

/** A supervisor in a scope of its own, which the test closes. */
export const open = <A, E>(
  make: Effect.Effect<A, E, Scope.Scope>,
): Effect.Effect<{ readonly made: A; readonly close: Effect.Effect<void> }, E> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const made = yield* Effect.provideService(make, Scope.Scope, scope)
    return { made, close: Scope.close(scope, Exit.void) }
  })

/** The sentence of a defect. */
export const mistake = (exit: Exit.Exit<unknown, unknown>): string => {
  const reason = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
  return reason?._tag === "Die" && reason.defect instanceof Error ? reason.defect.message : ""
}
