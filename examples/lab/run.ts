/**
 * Runs what was asked for: everything in virtual time first, then in real time.
 *
 * @module
 */
import { type DatabaseStartError, VirtualClock } from "@weir/runtime"
import { Effect, Version } from "effect"
import weir from "../../deno.json" with { type: "json" }
import { burst, now, type World } from "./burst.ts"
import { figures } from "./figures.ts"
import { judge } from "./judge.ts"
import { everyLoad, type Goodput, offer, realSpan, someLoads, virtualSpan } from "./load.ts"
import { predict } from "./predict.ts"
import type { Burst, Results, Way } from "./results.ts"
import { habits, realCourse, type Storm, storm, virtualCourse } from "./storm.ts"
import { type Parameters, type Variant, variants } from "./variants.ts"
import { real, virtual } from "./worlds.ts"

/** What to run. */
export interface Plan {
  readonly parameters: Parameters
  readonly chosen: ReadonlyArray<Variant>
  readonly load: boolean
  readonly storm: boolean
  readonly real: boolean
}

/** The plan of what `--variants` names; all of it by default. */
export const plan = (
  parameters: Parameters,
  ids: ReadonlyArray<string>,
  real: boolean,
): Plan => ({
  parameters,
  chosen: variants(parameters).filter(({ id }) => ids.includes(id)),
  load: ids.includes("load"),
  storm: ids.includes("storm"),
  real,
})

/** How long the part in real time takes, in milliseconds: it is known beforehand. */
export const realTime = ({ chosen, load, parameters, real, storm }: Plan): number => {
  if (!real) return 0
  const { deadlineMs, queryMs } = parameters
  const bursts = chosen.reduce((sum, it) => sum + predict(it).makespan, 0) * 1.05
  const loads = load ? someLoads.length * (realSpan.whole + 1) * deadlineMs : 0
  const storms = storm ? (realCourse.end + 3) * deadlineMs : 0
  return 3000 + 2 * queryMs + bursts + loads + storms
}

/** Connections that the part in real time needs. */
const connections = ({ chosen, load, parameters, storm }: Plan): number =>
  Math.max(
    ...chosen.map(({ pool }) => pool),
    (load ? 2 : storm ? habits.length : 1) * parameters.pool,
    (storm ? habits.length : 1) * parameters.pool,
  )

/** A line for whoever waits. */
export type Tell = (what: string, done?: number, of?: number) => void

const virtually = Effect.provide(VirtualClock.layer)

export const run = Effect.fn("lab.run")(function* (plan: Plan, tell: Tell) {
  const { chosen, parameters } = plan
  const inVirtual: Array<Burst> = []
  for (const variant of chosen) {
    const rows = yield* burst(
      virtual,
      variant,
      (n) => tell(`virtual ${variant.letter}`, n, variant.requests),
    ).pipe(virtually)
    inVirtual.push({
      variant,
      predicted: predict(variant),
      virtual: { rows, figures: figures(rows) },
      real: undefined,
    })
  }
  const loads: Array<Goodput> = []
  if (plan.load) {
    for (const times of everyLoad) {
      for (const admission of [false, true]) {
        tell(`virtual load ${times} ×`, loads.length, 2 * everyLoad.length)
        loads.push(
          yield* offer(virtual, parameters, { times, admission, span: virtualSpan }).pipe(
            virtually,
          ),
        )
      }
    }
  }
  const storms: Array<Storm> = []
  if (plan.storm) {
    for (const habit of habits) {
      tell(`virtual retries ${habit}`, storms.length, habits.length)
      storms.push(yield* storm(virtual, parameters, habit, virtualCourse).pipe(virtually))
    }
  }
  const found = plan.real ? yield* Effect.scoped(inReal(plan, inVirtual, tell)) : undefined
  return {
    at: new Date().toISOString(),
    versions: {
      weir: weir.version,
      effect: Version.getCurrentVersion(),
      deno: Deno.version.deno,
      system: `${Deno.build.os} ${Deno.build.arch}`,
    },
    parameters,
    way: found?.way,
    bursts: found?.bursts ?? inVirtual,
    stallMs: found?.stallMs ?? 0,
    loads: { virtual: loads, real: found?.loads ?? [] },
    storms: { virtual: storms, real: found?.storms ?? [] },
  } satisfies Results
})

const inReal = Effect.fnUntraced(function* (
  plan: Plan,
  before: ReadonlyArray<Burst>,
  tell: Tell,
) {
  const { parameters } = plan
  const { pool, queryMs } = parameters
  tell("real: starts PostgreSQL and warms up")
  const { open, serviceMs, ...about } = yield* real({
    connections: connections(plan),
    pool,
    queryMs,
  })
  const way: Way = {
    ...about,
    medianMs: serviceMs[serviceMs.length >> 1]!,
    longestMs: serviceMs.at(-1)!,
  }
  const bursts: Array<Burst> = []
  for (const it of before) {
    const { variant } = it
    const [rows, stallMs] = yield* Effect.scoped(
      Effect.flatMap(open(variant.pool), (world) =>
        stalls(
          burst(world, variant, (n) => tell(`real ${variant.letter}`, n, variant.requests)),
        )),
    )
    const verdict = judge(variant, way, rows, { baseMs: queryMs, stallMs })
    bursts.push({ ...it, real: { rows, figures: figures(rows), verdict } })
  }
  const loads: Array<Goodput> = []
  let worst = 0
  const watched = <A>(
    effect: (world: World) => Effect.Effect<A>,
  ): Effect.Effect<A, DatabaseStartError.DatabaseStartError> =>
    Effect.scoped(Effect.gen(function* () {
      const [value, stallMs] = yield* stalls(effect(yield* open(pool)))
      worst = Math.max(worst, stallMs)
      return value
    }))
  if (plan.load) {
    for (const times of someLoads) {
      tell(`real load ${times} ×`, loads.length, 2 * someLoads.length)
      // Side by side, each with a pool and connections of its own: a sleeping query costs nothing.
      loads.push(
        ...(yield* Effect.forEach(
          [false, true],
          (admission) =>
            watched((world) => offer(world, parameters, { times, admission, span: realSpan })),
          { concurrency: "unbounded" },
        )),
      )
    }
  }
  tell("real retries")
  const storms = plan.storm
    ? yield* Effect.forEach(
      habits,
      (habit) => watched((world) => storm(world, parameters, habit, realCourse)),
      { concurrency: "unbounded" },
    )
    : []
  return { way, bursts, loads, storms, stallMs: worst }
})

/** How often the event loop is looked at, in milliseconds. */
const everyMs = 10

/** Runs the effect, and finds how long the event loop stood still at worst meanwhile. */
const stalls = <A>(effect: Effect.Effect<A>): Effect.Effect<readonly [A, number]> =>
  Effect.suspend(() => {
    let worst = 0
    const look = Effect.gen(function* () {
      const begin = yield* now
      yield* Effect.sleep(everyMs)
      worst = Math.max(worst, (yield* now) - begin - everyMs)
    })
    return Effect.map(
      Effect.raceFirst(effect, Effect.forever(look)),
      (value) => [value, worst] as const,
    )
  })
