/** What happens at a moment of virtual time. */
export interface Happening {
  readonly fire: (now: number) => void
}

/** Events of one instant happen in the order in which they were planned, save that the last ones wait. */
const last = 2 ** 50

/**
 * The events to come, in virtual milliseconds: a binary heap of its own. A TestClock wakes fibers, which
 * costs fifty times as much.
 */
export class Timeline {
  now = 0
  #at: Array<number> = []
  #order: Array<number> = []
  #what: Array<Happening> = []
  #planned = 0

  get size(): number {
    return this.#at.length
  }

  /** Plans something, not before now. */
  plan(at: number, what: Happening): void {
    this.#push(Math.max(at, this.now), this.#planned++, what)
  }

  /** The same, but after everything else of that instant: a limit is not passed at the limit. */
  planLast(at: number, what: Happening): void {
    this.#push(Math.max(at, this.now), last + this.#planned++, what)
  }

  /** Lets everything happen, in order, until nothing is planned. */
  run(): void {
    while (this.#at.length > 0) {
      const at = this.#at[0]!
      const what = this.#what[0]!
      this.#pop()
      this.now = at
      what.fire(at)
    }
  }

  #push(at: number, order: number, what: Happening): void {
    let hole = this.#at.length
    this.#at.push(at)
    this.#order.push(order)
    this.#what.push(what)
    while (hole > 0) {
      const parent = (hole - 1) >> 1
      if (!this.#before(at, order, parent)) break
      this.#move(parent, hole)
      hole = parent
    }
    this.#put(hole, at, order, what)
  }

  #pop(): void {
    const at = this.#at.pop()!
    const order = this.#order.pop()!
    const what = this.#what.pop()!
    const size = this.#at.length
    if (size === 0) return
    let hole = 0
    for (let child = 1; child < size; child = 2 * hole + 1) {
      if (
        child + 1 < size && this.#before(this.#at[child + 1]!, this.#order[child + 1]!, child)
      ) child++
      if (this.#before(at, order, child)) break
      this.#move(child, hole)
      hole = child
    }
    this.#put(hole, at, order, what)
  }

  #before(at: number, order: number, other: number): boolean {
    const otherAt = this.#at[other]!
    return at < otherAt || (at === otherAt && order < this.#order[other]!)
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#at[from]!, this.#order[from]!, this.#what[from]!)
  }

  #put(to: number, at: number, order: number, what: Happening): void {
    this.#at[to] = at
    this.#order[to] = order
    this.#what[to] = what
  }
}
