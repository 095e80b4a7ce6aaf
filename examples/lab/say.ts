/**
 * What the numbers mean, in sentences: the first thing that a reader gets.
 *
 * @module
 */
import type { Figures } from "./figures.ts"
import { capacity, type Goodput } from "./load.ts"
import { little } from "./predict.ts"
import type { Burst, Results } from "./results.ts"
import { attempts, offeredPart, slower, type Storm } from "./storm.ts"
import { grouped, ms } from "./words.ts"

export const percent = (part: number): string => `${Math.round(part * 100)}\u00a0%`

const one = (value: number): string => (Math.round(value * 10) / 10).toString()

/** "1 query", "2 queries". */
export const queries = (count: number): string => `${count} ${count === 1 ? "query" : "queries"}`

/** The numbers of a row that the prediction speaks of. */
export const compared = (it: Figures): ReadonlyArray<number | undefined> => [
  it.ok,
  it.timedOut,
  it.refused,
  it.makespan,
  it.meanWait,
  it.meanTotal,
  it.p50,
  it.p95,
  it.p99,
]

export const agrees = ({ predicted, virtual }: Burst): boolean => {
  const found = compared(virtual.figures)
  return compared(predicted).every((value, i) =>
    value === found[i] || Math.abs((value ?? NaN) - (found[i] ?? NaN)) < 1e-6
  )
}

/** Whether prediction and virtual time agree. */
export const virtualVerdict = ({ bursts }: Results): string => {
  const different = bursts.filter((it) => !agrees(it)).map(({ variant }) => variant.letter)
  return different.length === 0
    ? "Virtual time: every number of every variant equals the prediction."
    : `Virtual time: ${
      different.join(", ")
    } differ from the prediction. How soon a pool learns of slower queries has no formula; ` +
      "anything else is a bug."
}

/** Where real time lies, and why it may. */
export const realVerdict = ({ bursts, parameters, way }: Results): ReadonlyArray<string> => {
  if (way === undefined) return []
  const of = (kind: string) =>
    bursts.filter(({ real }) => real?.verdict.kind === kind).map(({ variant }) => variant.letter)
  const within = of("within")
  const tolerated = percent(bursts[0]?.real?.verdict.tolerated ?? 0)
  const worst = Math.max(0, ...bursts.map(({ real }) => real?.verdict.slower ?? 0))
  const stall = Math.max(0, ...bursts.map(({ real }) => real?.verdict.stallMs ?? 0))
  const said = [
    `Real time: ${within.length} of ${bursts.length} variants lie within the tolerance ` +
    `(never faster than predicted, at most ${tolerated} slower; the slowest was ${
      one(100 * worst)
    }\u00a0% slower).`,
    `Why so much: a query of ${ms(parameters.queryMs)} took ${
      one(way.medianMs)
    } ms in the median ` +
    `and ${one(way.longestMs)} ms at worst while nothing else was going on (round trip ${
      one(way.roundTripMs)
    } ms, timers that count whole milliseconds, code that is not yet compiled, other work on this ` +
    "machine). Twice the worst is tolerated, because in a burst many begin in one turn of the " +
    "event loop. Faster cannot be: a query sleeps at least as long as it was told.",
  ]
  const [stalled, slow, impossible] = [of("stalled"), of("slower"), of("impossible")]
  if (stalled.length > 0) {
    said.push(
      `${
        stalled.join(", ")
      }: slower than that, or fewer answers, but the event loop stood still for up to ${
        ms(stall)
      } meanwhile. The machine was busy with something else; this says nothing.`,
    )
  }
  if (slow.length > 0) {
    said.push(
      `${
        slow.join(", ")
      }: slower than that, or fewer answers, and the event loop went on. PostgreSQL, or the machine, ` +
        "was slower than while warming up. Run it again.",
    )
  }
  if (impossible.length > 0) {
    said.push(
      `${impossible.join(", ")}: faster, or more answers, than there can be. That is a bug.`,
    )
  }
  const fewer = bursts.filter(({ predicted, real }) =>
    real !== undefined && real.figures.ok < predicted.ok &&
    real.figures.ok === real.verdict.expectedOk
  )
  for (const { predicted, real, variant } of fewer) {
    said.push(
      `${variant.letter} answers ${
        real!.figures.ok
      } in real time, not ${predicted.ok}: a real query ` +
        `takes ${
          one(way.medianMs)
        } ms, and a wave that ends that little later finds its clients gone.`,
    )
  }
  return said
}

/** The lessons of the bursts that were run. */
export const lessons = (results: Results): ReadonlyArray<string> => {
  const by = (letter: string) => results.bursts.find(({ variant }) => variant.letter === letter)
  const [a, b, c, d, e, f, g, h, i] = [..."ABCDEFGHI"].map(by)
  const said: Array<string> = []
  if (a !== undefined) {
    const { figures } = a.virtual
    said.push(
      `A. Little's law: ${one(figures.ok / figures.makespan * 1000)}/s leave, each after ${
        ms(figures.meanTotal ?? 0)
      } on average, so ${one(little(figures))} are inside on average; counted, it is ${
        one(figures.inside)
      }. ${a.variant.requests <= a.variant.pool ? "There is a slot for each." : staircase(a)}`,
    )
  }
  if (b !== undefined && c !== undefined) said.push(tie(b, c))
  if (f !== undefined && (b !== undefined || c !== undefined)) {
    const { figures } = f.virtual
    said.push(
      `F${
        g === undefined ? "" : " and G"
      }. The pool knows the deadline: it refuses ${figures.refused}${
        g === undefined ? "" : ` (G, with ${ms(patienceMs(g))}: ${g.virtual.figures.refused})`
      } at ${
        ms(figures.lastRefusal ?? 0)
      }, before they cost anything, and answers all that it lets in. Thrown away: ${
        queries(figures.wastedQueries + (g?.virtual.figures.wastedQueries ?? 0))
      }. It keeps a reserve of 2 %, so it does not bet on a tie.`,
    )
  }
  if (d !== undefined) {
    const { figures } = d.virtual
    said.push(
      `D. A bounded line: ${
        figures.refused === 0 ? "here all have a place" : `${figures.refused} hear no at once`
      }, and nobody waits longer than ${
        ms(figures.makespan - d.variant.queryMs)
      }. But the bound knows no deadline: it has to be chosen for one, and becomes wrong when queries become slower.`,
    )
  }
  if (a !== undefined && e !== undefined) {
    said.push(
      `E. Twice the slots: ${ms(e.virtual.figures.makespan)} instead of ${
        ms(a.virtual.figures.makespan)
      }. True as long as the database has room for them; here it only sleeps.`,
    )
  }
  if (h !== undefined && i !== undefined) {
    said.push(
      `H and I. Queries take twice as long as expected. Both answer ${h.virtual.figures.ok}; without ` +
        `the pool's knowledge ${queries(h.virtual.figures.wastedQueries)} of ${
          h.virtual.figures.ok + h.virtual.figures.wastedQueries
        } run for nobody, with it ${
          queries(i.virtual.figures.wastedQueries)
        }: what was let in by an old estimate is asked again at its turn.`,
    )
  }
  return said
}

/** What waiting in line makes of a pool that works all the time. */
const staircase = ({ virtual: { figures, rows } }: Burst): string => {
  const middle = figures.p50 ?? 0
  const longer = rows.filter(({ arrived, ended }) => ended - arrived > middle + 1e-6)
  return `No slot is idle while anybody waits, and yet ${
    percent(longer.length / rows.length)
  } of the answers take longer than ${ms(middle)}.`
}

const patienceMs = ({ variant: { patience } }: Burst): number =>
  patience._tag === "Endless" ? Infinity : patience.ms

const tie = (b: Burst, c: Burst): string => {
  const { figures } = b.virtual
  const gained = c.virtual.figures.ok - figures.ok
  const part = figures.wastedMs / (b.variant.pool * Math.max(1, figures.makespan))
  const start = `B and C. One millisecond more of patience, ${
    gained === 0 ? "no answer more" : `${gained} answers more`
  }. `
  const at = patienceMs(b)
  return at % b.variant.queryMs === 0 && gained > 0
    ? start +
      `At ${ms(at)} the clock strikes before the wave that ends in that instant: ${
        queries(figures.wastedQueries)
      } × ${
        ms(figures.wastedMs / Math.max(1, figures.wastedQueries))
      } of database work are thrown ` +
      `away (${percent(part)} of the pool's time), although no query took longer than it should.`
    : start +
      `B throws ${queries(figures.wastedQueries)} away, ${ms(figures.wastedMs)} of database work (${
        percent(part)
      } of the pool's time).`
}

/** What the offered loads say. */
export const loadVerdict = (loads: ReadonlyArray<Goodput>, results: Results): string => {
  const worst = (admission: boolean) =>
    Math.min(
      ...loads.filter((it) => it.admission === admission && it.times > 1.5).map((it) =>
        it.perSecond
      ),
    )
  const [most, least] = [
    Math.max(...loads.map(({ times }) => times)),
    Math.max(...loads.filter(({ times }) => times <= 1).map(({ times }) => times)),
  ]
  return `The pool can do ${
    grouped(capacity(results.parameters))
  } queries/s. From 2 to ${most} times ` +
    `that, clients get at least ${
      one(worst(true))
    } answers/s in time with admission, and without it as few as ${
      one(worst(false))
    }. Up to ${least} × nothing is different. Without admission the oldest is served first, ` +
    "and the oldest is the one that is about to leave."
}

/** What the retry storm says. */
export const stormVerdict = (storms: ReadonlyArray<Storm>): string => {
  const of = (habit: string) => storms.find((it) => it.habit === habit)!
  const [naive, budget, both] = [of("at once"), of("budget"), of("budget and admission")]
  return `Clients ask for ${
    percent(offeredPart)
  } of the capacity; for a while queries are ${slower} ` +
    `times slower. Who tries ${attempts} times, at once, sends ${
      one(naive.amplification)
    } calls for each answer that it wants, long after the database is well again: at the end ${
      percent(naive.atTheEnd)
    } are answered. With a budget, and pauses by chance, ${
      percent(budget.atTheEnd)
    }; with admission ` +
    `too, ${percent(both.atTheEnd)}, and ${one(both.amplification)} sent for each.`
}

/** A stall that changes what clients get: half of a usual query. */
const busyMs = 100

/** All of it, the most important first. */
export const verdicts = (results: Results): ReadonlyArray<string> => {
  const { loads, storms } = results
  return [
    ...(results.bursts.length > 0 ? [virtualVerdict(results), ...realVerdict(results)] : []),
    ...lessons(results),
    ...(results.stallMs > busyMs
      ? [
        `Load and storm in real time: the event loop stood still for up to ${
          ms(results.stallMs)
        }. The machine was busy with something else; their real numbers say little.`,
      ]
      : []),
    ...(loads.virtual.length > 0 ? [`Offered load. ${loadVerdict(loads.virtual, results)}`] : []),
    ...(storms.virtual.length > 0 ? [`Retry storm. ${stormVerdict(storms.virtual)}`] : []),
  ]
}
