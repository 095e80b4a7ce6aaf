/**
 * A binary heap of (time, value) in two typed arrays: deadlines and retries of a run.
 */
export class Heap {
  #at = new Float64Array(1024)
  #value = new Uint32Array(1024)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The earliest time; Infinity when empty. */
  get next(): number {
    return this.#size === 0 ? Infinity : this.#at[0]!
  }

  push(at: number, value: number): void {
    if (this.#size === this.#at.length) this.#grow()
    let hole = this.#size++
    while (hole > 0) {
      const parent = (hole - 1) >> 1
      if (this.#at[parent]! <= at) break
      this.#move(parent, hole)
      hole = parent
    }
    this.#at[hole] = at
    this.#value[hole] = value
  }

  /** Removes the earliest and returns its value. */
  pop(): number {
    const first = this.#value[0]!
    const last = --this.#size
    const at = this.#at[last]!
    let hole = 0
    while (true) {
      let child = hole * 2 + 1
      if (child >= last) break
      if (child + 1 < last && this.#at[child + 1]! < this.#at[child]!) child++
      if (this.#at[child]! >= at) break
      this.#move(child, hole)
      hole = child
    }
    this.#at[hole] = at
    this.#value[hole] = this.#value[last]!
    return first
  }

  #move(from: number, to: number): void {
    this.#at[to] = this.#at[from]!
    this.#value[to] = this.#value[from]!
  }

  #grow(): void {
    const at = new Float64Array(this.#at.length * 2)
    const value = new Uint32Array(this.#at.length * 2)
    at.set(this.#at)
    value.set(this.#value)
    this.#at = at
    this.#value = value
  }
}
