import { Effect, Exit, type Fiber } from "effect"
import { frameOf } from "../task/scope.ts"
import { Stopped } from "./errors.ts"
import type { Plan } from "./plan.ts"
import { isOpen } from "./inside.ts"
import { type AnyStrategy, chooser, type Place } from "./routing.ts"
import { ask, tell } from "./sending.ts"

type Send = (payload: unknown, options: never) => Effect.Effect<unknown, unknown>
type Methods = Readonly<Record<string, Send>>

/** The three ways to send, for each message of a protocol. */
export interface Routes {
  readonly tell: Methods
  readonly offer: Methods
  readonly ask: Methods
}

/** What sends through the places, by that strategy. */
export const routes = (
  name: string,
  plans: Readonly<Record<string, Plan>>,
  places: ReadonlyArray<Place>,
  strategy: AnyStrategy,
): Routes => {
  const parts = strategy === "broadcast" ? toAll(name, places) : toOne(name, places, strategy)
  const methods = (send: (plan: Plan) => Send): Methods =>
    Object.fromEntries(Object.values(plans).map((plan) => [plan.tag, send(plan)]))
  return { tell: methods(parts.tell), offer: methods(parts.offer), ask: methods(parts.ask) }
}

type Parts = Readonly<Record<"tell" | "offer" | "ask", (plan: Plan) => Send>>

/** The message counts, and is a dead letter, where it would have gone. */
const refusedBy = <A, E>(
  name: string,
  tag: string,
  effect: Effect.Effect<A, E>,
): Effect.Effect<A, E | Stopped> =>
  Effect.mapError(
    effect,
    (error) =>
      error instanceof Stopped ? new Stopped({ actor: name, tag, started: error.started }) : error,
  )

const toOne = (
  name: string,
  places: ReadonlyArray<Place>,
  strategy: AnyStrategy,
): Parts => {
  const choose = chooser(places, strategy)
  const through = (
    plan: Plan,
    payload: unknown,
    send: (place: Place) => Effect.Effect<unknown, unknown>,
  ): Effect.Effect<unknown, unknown> =>
    Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) => {
      const place = choose(plan.tag, payload, frameOf(fiber))
      return place === undefined ? refusedBy(name, plan.tag, send(places[0]!)) : send(place)
    })
  const offer = (plan: Plan, payload: unknown, options: never): Effect.Effect<unknown, unknown> =>
    through(plan, payload, ({ target }) =>
      Effect.catchIf(
        tell(target, plan, payload, options, "offer"),
        // It waited for room, and was not taken: another one may take it.
        (error): error is Stopped => error instanceof Stopped && places.some(opens),
        () => offer(plan, payload, options),
      ))
  return {
    tell: (plan) => (payload, options) =>
      through(plan, payload, ({ target }) => tell(target, plan, payload, options, "tell")),
    offer: (plan) => (payload, options) => offer(plan, payload, options),
    ask: (plan) => (payload, options) =>
      through(plan, payload, ({ target }) => ask(target, plan, payload, options)),
  }
}

const opens = ({ target }: Place): boolean => isOpen(target)

const toAll = (name: string, places: ReadonlyArray<Place>): Parts => {
  const each = (
    plan: Plan,
    send: (place: Place) => Effect.Effect<unknown, unknown>,
    concurrency: "unbounded" | 1,
  ) =>
    Effect.suspend(() => {
      const open = places.filter(opens)
      if (open.length === 0) {
        return Effect.as(refusedBy(name, plan.tag, send(places[0]!)), [])
      }
      return Effect.forEach(
        open,
        (place) => Effect.map(Effect.exit(send(place)), (exit) => ({ from: place.path, exit })),
        { concurrency },
      )
    })
  const all = (how: "tell" | "offer") => (plan: Plan): Send => (payload, options) =>
    Effect.flatMap(
      each(
        plan,
        ({ target }) => tell(target, plan, payload, options, how),
        how === "tell" ? 1 : "unbounded",
      ),
      (answers) => answers.find(({ exit }) => Exit.isFailure(exit))?.exit ?? Effect.void,
    )
  return {
    tell: all("tell"),
    offer: all("offer"),
    ask: (plan) => (payload, options) =>
      each(plan, ({ target }) => ask(target, plan, payload, options), "unbounded"),
  }
}
