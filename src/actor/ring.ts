/** The newest so many of what was added. */
export class Ring<A> {
  private readonly items: Array<A | undefined>
  private readonly capacity: number
  private first = 0
  size = 0

  constructor(capacity: number) {
    this.capacity = capacity
    this.items = []
  }

  /** Adds one; true when the oldest had to go. */
  push(item: A): boolean {
    const { capacity, items } = this
    if (capacity === 0) return true
    if (this.size < capacity) {
      items[(this.first + this.size) % capacity] = item
      this.size++
      return false
    }
    items[this.first] = item
    this.first = (this.first + 1) % capacity
    return true
  }

  /** Takes out the oldest. */
  shift(): A | undefined {
    if (this.size === 0) return undefined
    const item = this.items[this.first]
    this.items[this.first] = undefined
    this.first = (this.first + 1) % this.capacity
    this.size--
    return item
  }

  /** The oldest. */
  get oldest(): A | undefined {
    return this.size === 0 ? undefined : this.items[this.first]
  }

  /** All of them, the oldest first. */
  toArray(): Array<A> {
    return Array.from(
      { length: this.size },
      (_, i) => this.items[(this.first + i) % this.capacity] as A,
    )
  }
}
