import type { Sender } from "./call.ts"
import type { Pool, Scenario, Work } from "./scenario.ts"

/** The clients of a scenario, with their defaults filled in. */
export const sendersOf = (scenario: Scenario): ReadonlyArray<Sender> =>
  Object.entries(scenario.clients ?? { default: {} }).map(([name, client], index) => {
    const routeName = client.route ?? "main"
    const routeData = scenario.routes?.[routeName] ?? {}
    return {
      ...client,
      name,
      index,
      deadlineMs: client.deadlineMs ?? scenario.deadlineMs,
      routeName,
      routeData,
      things: [...(routeData.pools ?? ["main"]), ...(routeData.mailboxes ?? [])],
    }
  })

interface Count {
  readonly capacity: number
  /** Let in, and not there yet. */
  coming: number
  waiting: number
  running: number
}

/** Pools and mailboxes of a scenario, and what the simulator knows to be in them. */
export class Things {
  readonly #scenario: Scenario
  readonly #counts = new Map<string, Count>()

  constructor(scenario: Scenario) {
    this.#scenario = scenario
    for (const name of thingsOf(scenario)) {
      const { capacity } = thingOf(scenario, name)
      this.#counts.set(name, { capacity, coming: 0, waiting: 0, running: 0 })
    }
  }

  get(name: string): Pool {
    return thingOf(this.#scenario, name)
  }

  /** How long a sender's requests work there. */
  workOf(sender: Sender, name: string): Work {
    const own = this.#scenario.mailboxes?.[name] === undefined
      ? sender.routeData.serviceMs
      : undefined
    return own ?? this.get(name).serviceMs
  }

  comes(name: string, by: 1 | -1): void {
    this.#counts.get(name)!.coming += by
  }

  waits(name: string, by: 1 | -1): void {
    this.#counts.get(name)!.waiting += by
  }

  /** Who waited has got a slot. */
  started(name: string): void {
    const count = this.#counts.get(name)!
    count.waiting--
    count.running++
  }

  stopped(name: string): void {
    this.#counts.get(name)!.running--
  }

  /** Work under way, never more than there are slots. */
  running(name: string): number {
    return this.#counts.get(name)!.running
  }

  idle(name: string): boolean {
    const { capacity, coming, running, waiting } = this.#counts.get(name)!
    return coming + waiting + running < capacity
  }
}

/** Names of all pools and mailboxes. */
export const thingsOf = (scenario: Scenario): ReadonlyArray<string> => [
  "main",
  ...Object.keys(scenario.pools ?? {}),
  ...Object.keys(scenario.mailboxes ?? {}),
]

/** A mailbox counts as a pool of one slot. */
export const thingOf = (scenario: Scenario, name: string): Pool => {
  if (name === "main") return scenario.pool
  const pool = scenario.pools?.[name]
  if (pool !== undefined) return pool
  const mailbox = scenario.mailboxes?.[name]
  if (mailbox === undefined) throw new Error(`Scenario ${scenario.id} has no "${name}".`)
  return { capacity: 1, serviceMs: mailbox.handleMs, queueCapacity: mailbox.capacity }
}
