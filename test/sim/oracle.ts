/**
 * The ceiling of goodput: how many requests somebody could serve in time who knows all arrivals, all
 * service times and all deadlines beforehand, without pre-emption.
 *
 * Exact where all requests of a pool take equally long and have the same time to their deadline:
 * then first in, first out, leaving out who cannot make it, is optimal (who is served instead of an
 * earlier one frees its slot no sooner). An upper bound otherwise; {@link bound} says which.
 */
import type { Call, Sender } from "./call.ts"
import type { Scenario } from "./scenario.ts"
import { thingOf, Things } from "./senders.ts"
import { Speed } from "./speed.ts"

/** Slots that serve in order of arrival everybody whom they can serve in time. */
export class Fleet {
  readonly #free: Float64Array
  readonly #speed: Speed

  constructor(capacity: number, speed: Speed) {
    this.#free = new Float64Array(capacity)
    this.#speed = speed
  }

  /** Whether it can be served; if so, it is. To be asked in the order of arrivals. */
  serves(release: number, work: number, deadline: number): boolean {
    const free = this.#free
    let first = 0
    for (let i = 1; i < free.length; i++) if (free[i]! < free[first]!) first = i
    const begin = this.#speed.begin(Math.max(free[first]!, release), work)
    const end = this.#speed.end(begin, work)
    if (end > deadline) return false
    free[first] = end
    return true
  }
}

/** One piece of work of its own length. */
export interface Job {
  readonly release: number
  readonly work: number
  readonly deadline: number
}

/**
 * The most of these jobs that one machine with the speed of all slots together can end in time; no
 * schedule on the slots themselves ends more. For jobs whose deadlines are in the order of their
 * releases, and given in that order.
 *
 * @see Kise, Ibaraki, Mine, "A solvable case of the one-machine scheduling problem with ready and
 * due times" (1978)
 */
export const bound = (jobs: ReadonlyArray<Job>, capacity: number): ReadonlySet<number> => {
  const kept: Array<number> = []
  const starts: Array<number> = []
  let end = 0
  for (let j = 0; j < jobs.length; j++) {
    const job = jobs[j]!
    const start = Math.max(end, job.release)
    kept.push(j)
    starts.push(start)
    end = start + job.work / capacity
    if (end <= job.deadline) continue
    // Leave out the one without which the rest ends soonest.
    let best = 0
    let out = kept.length - 1
    let slack = Infinity
    for (let i = kept.length - 1; i >= 0 && slack > best; i--) {
      const saved = Math.min(jobs[kept[i]!]!.work / capacity, slack)
      if (saved > best) [best, out] = [saved, i]
      slack = Math.min(slack, starts[i]! - jobs[kept[i]!]!.release)
    }
    kept.splice(out, 1)
    starts.splice(out, 1)
    for (let i = out; i < kept.length; i++) {
      const { release, work } = jobs[kept[i]!]!
      const before = i === 0 ? 0 : starts[i - 1]! + jobs[kept[i - 1]!]!.work / capacity
      starts[i] = Math.max(before, release)
      end = starts[i]! + work / capacity
    }
    if (kept.length === 0) end = 0
    else if (out === kept.length) {
      end = starts[out - 1]! + jobs[kept[out - 1]!]!.work / capacity
    }
  }
  return new Set(kept)
}

/** What could have been served. */
export interface Possible {
  /** By phase. */
  readonly phases: ReadonlyArray<number>
  readonly total: number
  /** Somebody could really have served so many; otherwise nobody more. */
  readonly exact: boolean
}

/** Requests that need the same things for as long, and have as much time. */
interface Group {
  readonly lines: ReadonlyArray<Line>
}

interface Line {
  readonly before: number
  readonly after: number
  readonly work: number
  readonly fleet: Fleet
  readonly served: Array<number>
}

/** The ceiling for the attempts of one run; told of each as it is sent. */
export class Ceiling {
  readonly #scenario: Scenario
  readonly #groups = new Map<string, Group>()
  readonly #groupOf: ReadonlyArray<Group | undefined>
  readonly #exact: boolean
  readonly #main: Speed

  constructor(scenario: Scenario, senders: ReadonlyArray<Sender>) {
    this.#scenario = scenario
    this.#main = Speed.of(scenario)
    const things = new Things(scenario)
    this.#groupOf = senders.map((sender) => this.#group(sender, things))
    const used = Array.from(this.#groups.values())
    this.#exact = used.length > 0 && used.every(({ lines }) => lines.length === 1) &&
      new Set(senders.map(({ things }) => things[0])).size === used.length &&
      !scenario.phases.some(({ fault }) => typeof fault === "object")
  }

  sent(call: Call): void {
    const group = this.#groupOf[call.sender.index]
    if (group === undefined || this.#doomed(call)) return
    for (const { after, before, fleet, served, work } of group.lines) {
      if (fleet.serves(call.sentAt + before, work, call.deadline - after)) served[call.phase]!++
    }
  }

  /** Nothing where service times differ, or clients leave for reasons of their own. */
  result(): Possible | undefined {
    if (this.#groupOf.includes(undefined)) return undefined
    const phases = this.#scenario.phases.map(() => 0)
    let total = 0
    for (const { lines } of this.#groups.values()) {
      const sums = lines.map(({ served }) => served.reduce((sum, n) => sum + n, 0))
      const least = sums.indexOf(Math.min(...sums))
      total += sums[least]!
      lines[least]!.served.forEach((n, phase) => phases[phase]! += n)
    }
    return { phases, total, exact: this.#exact }
  }

  #group(sender: Sender, things: Things): Group | undefined {
    const works = sender.things.map((name) => things.workOf(sender, name))
    if (works.some((work) => typeof work !== "number") || (sender.leaves ?? 0) > 0) {
      return undefined
    }
    const key = JSON.stringify([sender.things, works, sender.deadlineMs])
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    const sum = (from: number, to: number) =>
      works.slice(from, to).reduce<number>((sum, work) => sum + (work as number), 0)
    const group = {
      lines: sender.things.map((name, i) => ({
        before: sum(0, i),
        after: sum(i + 1, works.length),
        work: works[i] as number,
        fleet: new Fleet(
          thingOf(this.#scenario, name).capacity,
          name === "main" ? this.#main : Speed.steady,
        ),
        served: this.#scenario.phases.map(() => 0),
      })),
    }
    this.#groups.set(key, group)
    return group
  }

  /** It fails whenever it is started before its deadline. */
  #doomed(call: Call): boolean {
    const at = (time: number) => {
      const fault = this.#main.faultAt(time)
      return typeof fault === "object" && call.luck < fault.errors
    }
    return call.sender.things.includes("main") && at(call.sentAt) && at(call.deadline)
  }
}
