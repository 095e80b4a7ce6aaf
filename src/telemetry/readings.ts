import { definitions } from "./definitions.ts"
import type { Family, Sample } from "./series.ts"

/**
 * Counts of the tasks of a service, by kind; the shape of `TaskTree.TaskCounts`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskReading {
  /** Tasks started, by kind. */
  readonly started: Readonly<Record<string, number>>
  /** Tasks ended, by kind and outcome. */
  readonly ended: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Tasks whose cleanup overran its budget. */
  readonly abandoned: number
}

/**
 * The picture of one bounded thing; the shape of `Bounded.Stats`.
 *
 * @category models
 * @since 0.1.0
 */
export interface BoundedReading {
  /** Kind, such as `pool`. */
  readonly kind: string
  /** Name. */
  readonly name: string
  /** Slots there are. */
  readonly capacity: number
  /** Slots in use. */
  readonly inUse: number
  /** Waiters and open tickets. */
  readonly waiting: number
  /** Hard bound on `waiting`. */
  readonly queueCapacity: number
  /** Largest `waiting` ever seen. */
  readonly highWater: number
  /** How long the oldest waiter has waited. */
  readonly oldestWaitMs: number
  /** Wait predicted for a newcomer. */
  readonly predictedWaitMs: number
  /** Refusals, by reason. */
  readonly refused: Readonly<Record<string, number>>
  /** What would have been refused, by reason. */
  readonly wouldRefuse?: Readonly<Record<string, number>>
}

/**
 * Counts of the actors of one name.
 *
 * @category models
 * @since 0.1.0
 */
export interface ActorReading {
  /** Name of their definition. */
  readonly name: string
  /** Actors in memory. */
  readonly residents: number
  /** Restarts after a crash. */
  readonly restarts: number
  /** Messages that ended, by outcome. */
  readonly ended: Readonly<Record<string, number>>
  /** Waits in the mailbox: their sum, and how many are in each bucket, the overflow last. */
  readonly waits: { readonly sumMs: number; readonly buckets: ReadonlyArray<number> }
}

/**
 * Dead letters of the actors of one name, for one reason.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadLetterReading {
  /** Name of the actors' definition. */
  readonly kind: string
  /** Why. */
  readonly reason: string
  /** How many. */
  readonly count: number
}

/**
 * Counts and state of one dependency.
 *
 * @category models
 * @since 0.1.0
 */
export interface DependencyReading {
  /** Name. */
  readonly name: string
  /** Calls, not counting retries and hedges. */
  readonly calls: number
  /** Attempts, by kind and outcome. */
  readonly attempts: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Failures that were not tried again, by why. */
  readonly denied: Readonly<Record<string, number>>
  /** Time in the slot: its sum, and how many attempts are in each bucket, the overflow last. */
  readonly duration: { readonly sumMs: number; readonly buckets: ReadonlyArray<number> }
  /** 0 closed, 1 half-open, 2 open. */
  readonly breaker: number
  /** Share of failures in the window of the breaker. */
  readonly failureRatio: number
  /** Chance that the throttle refuses. */
  readonly throttleRatio: number
  /** Retries that are left. */
  readonly retryBudget: number
}

/**
 * What a source tells when it is asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reading {
  /** Task counts. */
  readonly tasks?: TaskReading | undefined
  /** Bounded things. */
  readonly bounded?: ReadonlyArray<BoundedReading> | undefined
  /** Actors. */
  readonly actors?: ReadonlyArray<ActorReading> | undefined
  /** Dead letters. */
  readonly deadLetters?: ReadonlyArray<DeadLetterReading> | undefined
  /** How late the event loop is. */
  readonly loopLagMs?: number | undefined
  /** Dependencies. */
  readonly dependencies?: ReadonlyArray<DependencyReading> | undefined
}

/** The name of what is beyond a bound on the number of series. */
export const other = "other"

/** What gets series of its own: bounded things, task kinds, actors; the rest is one, called `other`. */
const maxBounded = 1000
const maxKinds = 100
const maxActors = 1000

const add = (
  into: Readonly<Record<string, number>>,
  from: Readonly<Record<string, number>>,
): Record<string, number> => {
  const sum = { ...into }
  for (const [key, value] of Object.entries(from)) sum[key] = (sum[key] ?? 0) + value
  return sum
}

const merge = (a: BoundedReading, b: BoundedReading): BoundedReading => ({
  kind: a.kind,
  name: a.name,
  capacity: a.capacity + b.capacity,
  inUse: a.inUse + b.inUse,
  waiting: a.waiting + b.waiting,
  queueCapacity: a.queueCapacity + b.queueCapacity,
  highWater: Math.max(a.highWater, b.highWater),
  oldestWaitMs: Math.max(a.oldestWaitMs, b.oldestWaitMs),
  predictedWaitMs: Math.max(a.predictedWaitMs, b.predictedWaitMs),
  refused: add(a.refused, b.refused),
  wouldRefuse: add(a.wouldRefuse ?? {}, b.wouldRefuse ?? {}),
})

/** Joins equal names of two registries, and whatever is beyond the bound, into one series each. */
const fold = (things: ReadonlyArray<BoundedReading>): ReadonlyArray<BoundedReading> => {
  const folded = new Map<string, BoundedReading>()
  for (const thing of things) {
    const own = `${thing.kind}\n${thing.name}`
    const fits = folded.has(own) || folded.size < maxBounded
    const reading = fits ? thing : { ...thing, name: other }
    const key = fits ? own : `${thing.kind}\n${other}`
    const before = folded.get(key)
    folded.set(key, before === undefined ? reading : merge(before, reading))
  }
  return Array.from(folded.values())
}

const boundedFamilies = (things: ReadonlyArray<BoundedReading>): ReadonlyArray<Family> => {
  const samples = (value: (thing: BoundedReading) => number): ReadonlyArray<Sample> =>
    things.map((thing) => ({ labels: [thing.kind, thing.name], value: value(thing) }))
  return [
    { definition: definitions.capacity, samples: samples((_) => _.capacity) },
    { definition: definitions.inUse, samples: samples((_) => _.inUse) },
    { definition: definitions.waiting, samples: samples((_) => _.waiting) },
    { definition: definitions.queueCapacity, samples: samples((_) => _.queueCapacity) },
    { definition: definitions.highWater, samples: samples((_) => _.highWater) },
    { definition: definitions.oldestWait, samples: samples((_) => _.oldestWaitMs / 1000) },
    { definition: definitions.predictedWait, samples: samples((_) => _.predictedWaitMs / 1000) },
    {
      definition: definitions.refused,
      samples: things.flatMap((thing) =>
        Object.entries(thing.refused)
          .map(([reason, value]) => ({ labels: [thing.kind, thing.name, reason], value }))
      ),
    },
    {
      definition: definitions.wouldRefuse,
      samples: things.flatMap((thing) =>
        Object.entries(thing.wouldRefuse ?? {})
          .map(([reason, value]) => ({ labels: [thing.kind, thing.name, reason], value }))
      ),
    },
  ]
}

const taskFamilies = (readings: ReadonlyArray<TaskReading>): ReadonlyArray<Family> => {
  const live = new Map<string, number>()
  const ended = new Map<string, Record<string, number>>()
  let abandoned = 0
  for (const reading of readings) {
    abandoned += reading.abandoned
    for (const [kind, started] of Object.entries(reading.started)) {
      const key = live.has(kind) || live.size < maxKinds ? kind : other
      const outcomes = reading.ended[kind] ?? {}
      const done = Object.values(outcomes).reduce((sum, n) => sum + n, 0)
      live.set(key, (live.get(key) ?? 0) + started - done)
      ended.set(key, add(ended.get(key) ?? {}, outcomes))
    }
  }
  return [
    {
      definition: definitions.tasksLive,
      samples: Array.from(live, ([kind, value]) => ({ labels: [kind], value })),
    },
    {
      definition: definitions.tasks,
      samples: Array.from(ended).flatMap(([kind, outcomes]) =>
        Object.entries(outcomes).map(([outcome, value]) => ({ labels: [kind, outcome], value }))
      ),
    },
    {
      definition: definitions.abandoned,
      samples: readings.length === 0 ? [] : [{ labels: [], value: abandoned }],
    },
  ]
}

/** Joins what two systems tell of one name, and whatever is beyond the bound. */
const byName = <A>(
  readings: ReadonlyArray<A>,
  keyOf: (reading: A) => string,
  beyond: (reading: A) => A,
  join: (a: A, b: A) => A,
): ReadonlyArray<A> => {
  const folded = new Map<string, A>()
  for (const each of readings) {
    const fits = folded.has(keyOf(each)) || folded.size < maxActors
    const reading = fits ? each : beyond(each)
    const before = folded.get(keyOf(reading))
    folded.set(keyOf(reading), before === undefined ? reading : join(before, reading))
  }
  return Array.from(folded.values())
}

const actorFamilies = (readings: ReadonlyArray<ActorReading>): ReadonlyArray<Family> => {
  const actors = byName(
    readings,
    ({ name }) => name,
    (reading) => ({ ...reading, name: other }),
    (a, b) => ({
      name: a.name,
      residents: a.residents + b.residents,
      restarts: a.restarts + b.restarts,
      ended: add(a.ended, b.ended),
      waits: {
        sumMs: a.waits.sumMs + b.waits.sumMs,
        buckets: a.waits.buckets.map((n, i) => n + (b.waits.buckets[i] ?? 0)),
      },
    }),
  )
  return [
    {
      definition: definitions.actorMessages,
      // What never happened is left out, but for `handled`: a rate needs a series that starts at 0.
      samples: actors.flatMap(({ ended, name }) =>
        Object.entries(ended)
          .filter(([outcome, value]) => value > 0 || outcome === "handled")
          .map(([outcome, value]) => ({ labels: [name, outcome], value }))
      ),
    },
    {
      definition: definitions.actorRestarts,
      samples: actors.map(({ name, restarts }) => ({ labels: [name], value: restarts })),
    },
    {
      definition: definitions.actorResidents,
      samples: actors.map(({ name, residents }) => ({ labels: [name], value: residents })),
    },
    {
      definition: definitions.mailboxWait,
      samples: actors.map(({ name, waits: { buckets, sumMs } }) => ({
        labels: [name],
        value: sumMs / 1000,
        buckets,
      })),
    },
  ]
}

const deadLetterFamily = (readings: ReadonlyArray<DeadLetterReading>): Family => ({
  definition: definitions.deadLetters,
  samples: byName(
    readings,
    ({ kind, reason }) => `${kind}\n${reason}`,
    (reading) => ({ ...reading, kind: other }),
    (a, b) => ({ ...a, count: a.count + b.count }),
  ).map(({ count, kind, reason }) => ({ labels: [kind, reason], value: count })),
})

const mergeDependency = (a: DependencyReading, b: DependencyReading): DependencyReading => ({
  name: a.name,
  calls: a.calls + b.calls,
  attempts: Object.fromEntries(
    Object.entries(a.attempts).map((
      [kind, outcomes],
    ) => [kind, add(outcomes, b.attempts[kind] ?? {})]),
  ),
  denied: add(a.denied, b.denied),
  duration: {
    sumMs: a.duration.sumMs + b.duration.sumMs,
    buckets: a.duration.buckets.map((n, i) => n + (b.duration.buckets[i] ?? 0)),
  },
  breaker: Math.max(a.breaker, b.breaker),
  failureRatio: Math.max(a.failureRatio, b.failureRatio),
  throttleRatio: Math.max(a.throttleRatio, b.throttleRatio),
  retryBudget: a.retryBudget + b.retryBudget,
})

const dependencyFamilies = (readings: ReadonlyArray<DependencyReading>): ReadonlyArray<Family> => {
  const all = byName(
    readings,
    ({ name }) => name,
    (reading) => ({ ...reading, name: other }),
    mergeDependency,
  )
  const each = (value: (reading: DependencyReading) => number): ReadonlyArray<Sample> =>
    all.map((reading) => ({ labels: [reading.name], value: value(reading) }))
  return [
    { definition: definitions.dependencyCalls, samples: each((_) => _.calls) },
    {
      definition: definitions.dependencyAttempts,
      samples: all.flatMap(({ attempts, name }) =>
        Object.entries(attempts).flatMap(([kind, outcomes]) =>
          Object.entries(outcomes).map(([outcome, value]) => ({
            labels: [name, kind, outcome],
            value,
          }))
        )
      ),
    },
    {
      definition: definitions.dependencyDenied,
      samples: all.flatMap(({ denied, name }) =>
        Object.entries(denied).map(([reason, value]) => ({ labels: [name, reason], value }))
      ),
    },
    {
      definition: definitions.dependencyDuration,
      samples: all.map(({ duration: { buckets, sumMs }, name }) => ({
        labels: [name],
        value: sumMs / 1000,
        buckets,
      })),
    },
    { definition: definitions.dependencyBreaker, samples: each((_) => _.breaker) },
    { definition: definitions.dependencyFailures, samples: each((_) => _.failureRatio) },
    { definition: definitions.dependencyThrottle, samples: each((_) => _.throttleRatio) },
    { definition: definitions.dependencyBudget, samples: each((_) => _.retryBudget) },
  ]
}

/** What the sources told, as metrics. */
export const families = (readings: ReadonlyArray<Reading>): ReadonlyArray<Family> => [
  ...taskFamilies(readings.flatMap(({ tasks }) => tasks === undefined ? [] : [tasks])),
  ...boundedFamilies(fold(readings.flatMap((reading) => reading.bounded ?? []))),
  ...actorFamilies(readings.flatMap((reading) => reading.actors ?? [])),
  {
    definition: definitions.loopLag,
    // The loop is one, whoever looks at it.
    samples: readings.flatMap(({ loopLagMs }) => loopLagMs === undefined ? [] : [loopLagMs])
      .slice(0, 1).map((ms) => ({ labels: [], value: ms / 1000 })),
  },
  deadLetterFamily(readings.flatMap((reading) => reading.deadLetters ?? [])),
  ...dependencyFamilies(readings.flatMap((reading) => reading.dependencies ?? [])),
]
