/**
 * A router: one address before several actors of the same protocol.
 *
 * **Details** – *Bounded by* the mailboxes behind it, for it has none of its own; *owned by* nobody
 * (a group), by a scope, or by an actor (a pool); *seen in* `/saturation` when a scope owns it.
 *
 * @module
 */
import { Duration, Effect, type Fiber, type Scope } from "effect"
import type { Rpc } from "effect/rpc"
import { Mistake } from "../internal/mistake.ts"
import { defaultRestart } from "../task/restarts.ts"
import { ActorContext, type Definition } from "./ActorContext.ts"
import { ActorSystem } from "./ActorSystem.ts"
import type { Cell } from "./cell.ts"
import type { Plan } from "./plan.ts"
import { type Inside, isOpen, reachOf } from "./inside.ts"
import { installed } from "./installed.ts"
import { initOf, Kind } from "./kind.ts"
import { plansOf } from "./plans.ts"
import { Pool } from "./pool.ts"
import { PoolLine } from "./poolline.ts"
import { messagesOf, refMaker } from "./refs.ts"
import type { Broadcast, Group, PoolOptions, Router, ToAll, ToOne } from "./routers.ts"
import { routes } from "./routes.ts"
import { type AnyStrategy, Place } from "./routing.ts"
import type { HandlersFrom, Needed, Ref } from "./types.ts"

export type {
  Answer,
  AskAll,
  Broadcast,
  ByKey,
  Common,
  Group,
  PoolOptions,
  Router,
  Routing,
  Strategy,
  ToAll,
  ToOne,
} from "./routers.ts"

/**
 * Makes a router over actors that somebody else owns: single ones, children, actors of some keys.
 *
 * **Details** – an actor that has stopped gets nothing more from that moment on, and takes part again
 * when it is there again. What it had in its mailbox is its own affair: handled within its grace, or
 * a dead letter. Throws when there are no routees.
 *
 * @example Two printers, used in turn
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Rpc } from "effect/rpc"
 * import { Actor, ActorSystem, Router } from "@weir/runtime"
 * import { deepStrictEqual } from "node:assert/strict"
 *
 * const Print = Rpc.make("Print", { payload: { page: Schema.Int }, success: Schema.String })
 * const Printer = Actor.make("Printer", [Print])
 * const PrinterLive = Printer.toLayer(Effect.map(Printer.self, ({ key }) => ({
 *   Print: ({ payload }: Actor.Message<typeof Print>) =>
 *     Effect.succeed(`page ${payload.page} on ${key}`),
 * })))
 *
 * const program = Effect.gen(function* () {
 *   const printer = yield* Printer.client
 *   const office = Router.make({
 *     name: "office",
 *     routees: [printer("left"), printer("right")],
 *     strategy: "round-robin",
 *   })
 *   return yield* Effect.forEach([1, 2, 3], (page) => office.ask.Print({ page }))
 * })
 *
 * const live = PrinterLive.pipe(Layer.provideMerge(ActorSystem.layer()))
 * deepStrictEqual(
 *   await Effect.runPromise(program.pipe(Effect.provide(live))),
 *   ["page 1 on left", "page 2 on right", "page 3 on left"],
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <Rpcs extends Rpc.Any>(options: Group<Rpcs> & ToAll): Broadcast<Rpcs>
  <Rpcs extends Rpc.Any>(options: Group<Rpcs> & ToOne<Rpcs>): Router<Rpcs>
} = <Rpcs extends Rpc.Any>(options: Group<Rpcs> & Any<Rpcs>): never => {
  const { name, routees } = options
  const first = routees[0]
  if (first === undefined) throw new Mistake(`Router "${name}" needs at least one routee.`)
  return built(
    name,
    messagesOf(first),
    routees.map((ref) => new Place(ref.path, reachOf(ref))),
    routees,
    options.strategy,
  )
}

/**
 * Starts `size` actors of one definition until the scope closes, and a router before them.
 *
 * **Details** – as a layer: `Layer.effect(MyPool, Router.pool(…))`. The routees are `name/1`, `name/2`
 * and so on. One that crashes is started again under `options.restart`, with its mailbox; one that has
 * used that up is replaced by a new one under `options.replace`, and what it had in its mailbox becomes
 * dead letters. Meanwhile the others get the messages. One that was stopped, or stopped itself, is not
 * replaced. When none is left, sending fails with `Stopped`; if the last one failed, all of them are
 * started anew by the system's supervisor (unless `options.exhausted` is `stop`).
 *
 * When the scope closes, what is queued is handled within the grace.
 *
 * **Fails with** – nothing; dies when the name is taken or an option makes no sense.
 *
 * **Interruption** – does not wait.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pool: {
  <Rpcs extends Rpc.Any, Handlers extends HandlersFrom<Rpcs>, E = never, R = never>(
    actor: Definition<Rpcs>,
    size: number,
    init: Handlers | Effect.Effect<Handlers, E, R>,
    options: PoolOptions & ToAll,
  ): Effect.Effect<
    Broadcast<Rpcs>,
    never,
    ActorSystem | Scope.Scope | Needed<R, Handlers, ActorContext>
  >
  <Rpcs extends Rpc.Any, Handlers extends HandlersFrom<Rpcs>, E = never, R = never>(
    actor: Definition<Rpcs>,
    size: number,
    init: Handlers | Effect.Effect<Handlers, E, R>,
    options?: PoolOptions & ToOne<Rpcs>,
  ): Effect.Effect<
    Router<Rpcs>,
    never,
    ActorSystem | Scope.Scope | Needed<R, Handlers, ActorContext>
  >
} = <Rpcs extends Rpc.Any>(
  actor: Definition<Rpcs>,
  size: number,
  init: unknown,
  options: PoolOptions & Any<Rpcs> = {},
): Effect.Effect<never, never, ActorSystem | Scope.Scope> =>
  Effect.flatMap(ActorSystem, ({ unsafe }) =>
    Effect.withFiber((fiber) => {
      const { exhausted = "escalate", name = actor.name, replace, strategy, ...own } = options
      const keys = keysOf(name, size)
      const settings = {
        ...actor.options,
        ...own,
        exhausted: "stop",
        idle: Duration.infinity,
        residents: keys.length,
      } as const
      const kind = new Kind(
        unsafe,
        { ...actor, name },
        true,
        settings,
        initOf(init as never),
        fiber,
      )
      const pool = new Pool(
        name,
        keys.map((key) => [key, `${name}/${key}`]),
        replace ?? defaultRestart,
        exhausted === "escalate",
        fiber,
      )
      kind.pool = {
        open: () =>
          pool.open({
            start: (key) => kind.activate(key),
            failed: (cause) => kind.onFailed?.(cause),
            later: kind.later,
          }),
        close: () => pool.close(),
      }
      const line = new PoolLine(pool, keys.length * kind.settings.mailbox.concurrency)
      return Effect.as(installed(unsafe, kind, line), routerOf<Rpcs>(pool, kind.plans, strategy))
    }))

/**
 * Like {@link pool}, inside an actor: the routees are its children, and end with its incarnation.
 *
 * **Details** – their names are `name-1`, `name-2` and so on. If the last one failed, this actor
 * crashes (unless `options.exhausted` is `stop`). A router of an earlier incarnation says `Stopped`.
 *
 * **Fails with** – nothing; dies when this actor has children of these names.
 *
 * **Interruption** – does not wait.
 *
 * @category constructors
 * @since 0.1.0
 */
export const spawn: {
  <Rpcs extends Rpc.Any, Handlers extends HandlersFrom<Rpcs>, E = never, R = never>(
    actor: Definition<Rpcs>,
    size: number,
    init: Handlers | Effect.Effect<Handlers, E, R>,
    options: PoolOptions & ToAll,
  ): Effect.Effect<Broadcast<Rpcs>, never, ActorContext | Needed<R, Handlers, ActorContext>>
  <Rpcs extends Rpc.Any, Handlers extends HandlersFrom<Rpcs>, E = never, R = never>(
    actor: Definition<Rpcs>,
    size: number,
    init: Handlers | Effect.Effect<Handlers, E, R>,
    options?: PoolOptions & ToOne<Rpcs>,
  ): Effect.Effect<Router<Rpcs>, never, ActorContext | Needed<R, Handlers, ActorContext>>
} = <Rpcs extends Rpc.Any>(
  actor: Definition<Rpcs>,
  size: number,
  init: unknown,
  options: PoolOptions & Any<Rpcs> = {},
): Effect.Effect<never, never, ActorContext> =>
  Effect.flatMap(ActorContext, (context) =>
    Effect.withFiber((fiber) => {
      const { cell, incarnation } = context as unknown as Inside
      const { exhausted = "escalate", name = actor.name, replace, strategy, ...own } = options
      const keys = keysOf(name, size).map((key) => `${name}-${key}`)
      if (cell.incarnation?.number !== incarnation) {
        return Effect.die(
          new Mistake(`Actor "${cell.path}" cannot spawn "${name}": this life of it has ended.`),
        )
      }
      const taken = keys.find((key) => cell.children?.has(key))
      if (taken !== undefined) {
        return Effect.die(
          new Mistake(`Actor "${cell.path}" has a child named "${taken}" already.`),
        )
      }
      const pool = new Pool(
        `${cell.path}/${name}`,
        keys.map((key) => [key, `${cell.path}/${key}`]),
        replace ?? defaultRestart,
        exhausted === "escalate",
        fiber,
      )
      const start = (key: string): Cell =>
        reachOf(
          cell.home.spawn(
            cell,
            actor as never,
            key,
            init as never,
            { ...own, exhausted: "stop" },
            fiber as Fiber.Fiber<unknown, unknown>,
          ),
        ).resolve("", "tell", undefined) as Cell
      pool.open({
        start,
        failed: (cause) => cell.childFailed(cause),
        later: (task) => cell.home.later(task),
      })
      ;(cell.undo ??= new Map()).set(`router ${name}`, () => pool.close())
      const { plans } = plansOf(actor.name, actor.protocol)
      return Effect.succeed(routerOf<Rpcs>(pool, plans, strategy))
    }))

type Any<Rpcs extends Rpc.Any> = ToAll | ToOne<Rpcs>

const keysOf = (name: string, size: number): ReadonlyArray<string> => {
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new Mistake(`Router "${name}" needs a whole number of actors above zero, not ${size}.`)
  }
  return Array.from({ length: size }, (_, i) => String(i + 1))
}

const routerOf = <Rpcs extends Rpc.Any>(
  { name, places }: Pool,
  plans: Readonly<Record<string, Plan>>,
  strategy: Any<Rpcs>["strategy"],
): never => {
  const ref = refMaker<Rpcs>(plans)
  const refs = places.map(({ path, target }) => ref(path.slice(path.lastIndexOf("/") + 1), target))
  return built(name, plans, places, refs, strategy)
}

const built = <Rpcs extends Rpc.Any>(
  name: string,
  plans: Readonly<Record<string, Plan>>,
  places: ReadonlyArray<Place>,
  refs: ReadonlyArray<Ref<Rpcs>>,
  strategy: Any<Rpcs>["strategy"],
): never => {
  const router: Pick<Router<Rpcs>, "name" | "routees"> = {
    name,
    routees: Effect.sync(() => refs.filter((_, i) => isOpen(places[i]!.target))),
  }
  return {
    ...router,
    ...routes(name, plans, places, (strategy ?? "round-robin") as AnyStrategy),
  } as never
}
