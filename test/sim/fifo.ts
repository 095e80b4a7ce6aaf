import type { Call } from "./call.ts"
import type { Control, Ended, No, Policy, World } from "./control.ts"
import { thingOf, thingsOf } from "./senders.ts"

/** What a policy decides where slots are served first in, first out, as in every pool of connections. */
export interface Rules {
  /** Why a request may not enter; `inside` are those that have and are not done. */
  readonly enter?: (now: number, inside: number, call: Call) => No | undefined
  /** Who has waited so long gets its slot, or is turned away. */
  readonly dequeue?: (now: number, waitMs: number, queue: Queue) => No | undefined
  /** The line has become empty. */
  readonly drained?: () => void
  /** A request that was let in has ended. */
  readonly done?: (now: number, call: Call, ended: Ended | "refused") => void
}

/** A pool without any bound. */
export interface Queue {
  readonly capacity: number
  readonly waiting: number
}

/** A policy on plain pools. Mailboxes and pools are the same to it. */
export const onFifo = (
  name: string,
  about: string,
  cancels: boolean,
  rules: (world: World) => Rules,
): Policy => ({ name, about, cancels, make: (world) => new OnFifo(world, rules(world)) })

class OnFifo implements Control {
  readonly #rules: Rules
  readonly #pools = new Map<string, FifoPool>()
  #inside = 0
  #longest = 0
  #closed = false

  constructor(world: World, rules: Rules) {
    this.#rules = rules
    for (const name of thingsOf(world.scenario)) {
      const { capacity } = thingOf(world.scenario, name)
      this.#pools.set(name, new FifoPool(world, capacity, rules))
    }
  }

  enter(call: Call, now: number): No | undefined {
    if (this.#closed) return { reason: "ShuttingDown", retryAfterMs: 1000 }
    const no = this.#rules.enter?.(now, this.#inside, call)
    if (no === undefined) this.#inside++
    return no
  }

  acquire(call: Call, thing: string, now: number): void {
    const pool = this.#pools.get(thing)!
    pool.acquire(call, now)
    this.#longest = Math.max(this.#longest, pool.waiting)
  }

  abandon(call: Call, thing: string, _now: number): void {
    this.#pools.get(thing)!.abandon(call)
  }

  release(_call: Call, thing: string, now: number, _ended: Ended): void {
    this.#pools.get(thing)!.release(now)
  }

  leave(call: Call, now: number, ended: Ended | "refused"): void {
    this.#rules.done?.(now, call, ended)
    this.#inside--
  }

  drain(): void {
    this.#closed = true
  }

  held(): number {
    let sum = this.#inside
    for (const { running, waiting } of this.#pools.values()) sum += running + waiting
    return sum
  }

  line(): { longest: number; bound: number } {
    return { longest: this.#longest, bound: Infinity }
  }
}

class FifoPool implements Queue {
  readonly capacity: number
  running = 0
  readonly #line = new Set<Call>()
  readonly #world: World
  readonly #rules: Rules

  constructor(world: World, capacity: number, rules: Rules) {
    this.#world = world
    this.capacity = capacity
    this.#rules = rules
  }

  get waiting(): number {
    return this.#line.size
  }

  acquire(call: Call, now: number): void {
    this.#line.add(call)
    this.#next(now)
  }

  abandon(call: Call): void {
    this.#line.delete(call)
    if (this.#line.size === 0) this.#rules.drained?.()
  }

  release(now: number): void {
    this.running--
    this.#next(now)
  }

  #next(now: number): void {
    while (this.running < this.capacity) {
      const { done, value: call } = this.#line.values().next()
      if (done === true) return
      this.#line.delete(call)
      const no = this.#rules.dequeue?.(now, now - call.waitSince, this)
      if (this.#line.size === 0) this.#rules.drained?.()
      if (no !== undefined) this.#world.turnedAway(call, no)
      else {
        this.running++
        this.#world.granted(call)
      }
    }
  }
}
