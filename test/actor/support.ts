import { expect } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Schema, Scope, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as Actor from "../../src/actor/Actor.ts"
import { ActorContext } from "../../src/actor/ActorContext.ts"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import type { DeadLetter } from "../../src/actor/DeadLetters.ts"
import type { Kind } from "../../src/actor/kind.ts"
import type { Account } from "../../src/actor/Mailbox.ts"
import { System } from "../../src/actor/system.ts"
import * as Supervisor from "../../src/task/Supervisor.ts"
import * as Saturation from "../../src/bounded/Saturation.ts"
import type { TaskTree } from "../../src/task/TaskTree.ts"
import { clean, fork, Trace } from "../task/support.ts"

export { armed, causes, fork, Trace } from "../task/support.ts"

/** What code inside an actor may use. */
export type Inside = ActorContext | Scope.Scope

/** Messages that carry the work to be done: the test says on the spot what the handler does. */
const work = {
  payload: Schema.declare((u): u is Effect.Effect<unknown, unknown, Inside> => Effect.isEffect(u)),
  success: Schema.Any,
  error: Schema.Any,
} as const
export const Run = Rpc.make("Run", work)
/** Writes its payload down and returns it. */
export const Note = Rpc.make("Note", { payload: Schema.String, success: Schema.String })
export const Now = Rpc.make("Now", work).annotate(Actor.Reentrant, true)
export const Firm = Rpc.make("Firm", work).annotate(Actor.Uninterruptible, true)
export const Again = Rpc.make("Again", work).annotate(Actor.Retries, 2)
export const protocol = [Run, Note, Now, Firm, Again] as const
export type Protocol = (typeof protocol)[number]
export type BoxRef = Actor.Ref<Protocol>

// deno-lint-ignore no-explicit-any
type Work = { readonly payload: Effect.Effect<any, any, Inside> }

export const handlers = (trace: Trace) => {
  const run = ({ payload }: Work) => payload
  return {
    Run: run,
    Now: run,
    Firm: run,
    Again: run,
    Note: ({ payload }: { readonly payload: string }) => Effect.as(trace.add(payload), payload),
  }
}

export const single = (name: string, options?: Actor.ActorOptions) =>
  Actor.single(name, protocol, options)
export const keyed = (name: string, options?: Actor.ActorOptions) =>
  Actor.make(name, protocol, options)

/** Where a test's actors live, and what can be seen of them. */
export interface World {
  readonly trace: Trace
  readonly tree: TaskTree
  readonly letters: Array<DeadLetter>
  readonly kinds: Array<Kind>
  /** Starts a kind; it stops when the world ends. */
  readonly start: <E, R>(
    actor: Actor.Base<Protocol>,
    init?: Effect.Effect<unknown, E, R>,
    options?: Actor.ActorOptions,
  ) => Effect.Effect<void>
  /** Starts a single actor and returns its reference. */
  readonly box: <E = never, R = never>(
    name: string,
    options?: Actor.ActorOptions,
    init?: Effect.Effect<unknown, E, R>,
  ) => Effect.Effect<BoxRef>
  /** Starts keyed actors and returns their client. */
  readonly boxes: <E = never, R = never>(
    name: string,
    options?: Actor.ActorOptions,
    init?: Effect.Effect<unknown, E, R>,
  ) => Effect.Effect<(key: string) => BoxRef>
}

const total = (account: Pick<Account, "ended">): number =>
  Object.values(account.ended).reduce((a, b) => a + b, 0)

/** `sent = Σ ended + queued + running`. */
export const balanced = (account: Pick<Account, "sent" | "queued" | "running" | "ended">): void =>
  expect(total(account) + account.queued + account.running).toBe(account.sent)

/**
 * Runs a test in an actor system of its own, and asserts that it leaves nothing behind: no task, no
 * timer, and that every message has ended.
 */
export const world = <A, E>(
  body: (world: World) => Effect.Effect<A, E, ActorSystem | Scope.Scope>,
): Effect.Effect<A, E> =>
  clean((tree) =>
    Effect.gen(function* () {
      const trace = new Trace()
      const letters: Array<DeadLetter> = []
      const kinds: Array<Kind> = []
      const system = new Recording((letter) => letters.push(letter), kinds)
      const live = Layer.merge(
        Layer.sync(Saturation.Saturation, Saturation.makeUnsafe),
        Layer.succeed(ActorSystem, {
          unsafe: system,
          kinds: Effect.succeed([]),
          deadLetters: {
            stream: () => Stream.fromIterable(letters.map((letter) => ({ letter, missed: 0 }))),
            counts: Effect.succeed([]),
            recent: Effect.sync(() => letters),
          },
        }),
      )
      const start: World["start"] = (actor, init, options) =>
        Effect.asVoid(Layer.build(
          actor.toLayer(
            init === undefined
              ? handlers(trace)
              : Effect.as(init, handlers(trace)) as Effect.Effect<ReturnType<typeof handlers>>,
            options,
          ),
        )) as Effect.Effect<void>
      const value = yield* Effect.provide(
        bounded(
          Effect.flatMap(Effect.orDie(Supervisor.make({ name: "actors" })), (supervisor) => {
            system.supervisor = Effect.succeed(supervisor)
            return body({
              trace,
              tree,
              letters,
              kinds,
              start,
              box: (name, options, init) => {
                const actor = single(name, options)
                return Effect.andThen(start(actor, init), actor.client) as Effect.Effect<BoxRef>
              },
              boxes: (name, options, init) => {
                const actor = keyed(name, options)
                return Effect.andThen(start(actor, init), actor.client) as Effect.Effect<
                  (key: string) => BoxRef
                >
              },
            })
          }),
        ),
        live,
      )
      for (const kind of kinds) {
        const account = kind.account()
        expect({ kind: kind.name, queued: account.queued, running: account.running })
          .toEqual({ kind: kind.name, queued: 0, running: 0 })
        balanced(account)
      }
      return value
    })
  )

/** Like `Effect.scoped`; when a test fails, time passes, so that its actors can stop. */
const bounded = <A, E, R>(
  body: Effect.Effect<A, E, R>,
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const exit = yield* Effect.exit(Scope.provide(body, scope))
    const closing = yield* fork(Scope.close(scope, exit))
    if (Exit.isFailure(exit)) yield* TestClock.adjust("1 hour")
    yield* Fiber.join(closing)
    return yield* exit
  })

class Recording extends System {
  private readonly all: Array<Kind>

  constructor(publish: (letter: DeadLetter) => void, all: Array<Kind>) {
    super(publish)
    this.all = all
  }

  override install(kind: Kind): void {
    super.install(kind)
    this.all.push(kind)
  }
}

/** Work for a handler that uses its actor's context. */
export const inside = <A, E>(
  use: (context: ActorContext) => Effect.Effect<A, E, Inside>,
): Effect.Effect<A, E, Inside> => Effect.flatMap(ActorContext, use)

/** A gate that handlers wait at. */
export const gate = (): {
  readonly wait: Effect.Effect<void>
  readonly open: Effect.Effect<void>
} => {
  const deferred = Deferred.makeUnsafe<void>()
  return {
    wait: Deferred.await(deferred),
    open: Effect.asVoid(Deferred.succeed(deferred, undefined)),
  }
}

/** Lets everything run that can run without time passing. */
export const settle: Effect.Effect<void> = Effect.gen(function* () {
  for (let i = 0; i < 20; i++) yield* Effect.yieldNow
})

/** Keeps the actor busy until the gate opens. */
export const occupy = (box: BoxRef, wait: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.orDie(Effect.andThen(box.tell.Run(wait), settle))

/** The tags of the errors that an ask or a send failed with, or `ok`. */
export const tagOf = (exit: Exit.Exit<unknown, unknown> | undefined): string => {
  if (exit === undefined) return "waits"
  if (Exit.isSuccess(exit)) return "ok"
  return exit.cause.reasons.map((reason) =>
    reason._tag === "Fail"
      ? String((reason.error as { readonly _tag?: string })._tag ?? reason.error)
      : reason._tag
  ).join("+")
}

/** Forks an effect and says how it ended, once it has. */
export const watched = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<() => string, never, R> =>
  Effect.map(fork(Effect.exit(effect)), (fiber) => () => {
    const exit = fiber.pollUnsafe()
    return exit === undefined ? "waits" : Exit.isSuccess(exit) ? tagOf(exit.value) : "interrupted"
  })

export const reasonsOf = (letters: ReadonlyArray<DeadLetter>): ReadonlyArray<string> =>
  letters.map((letter) => `${letter.to} ${letter.tag} ${letter.reason}`)
