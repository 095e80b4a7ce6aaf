/**
 * The floor: a mailbox of promises, written by hand for this protocol. An array, drained in a
 * microtask, bounded; no supervision, no cancellation, no deadline.
 */
import { asks, contended, type Counter, tells } from "./drive_promise.ts"
import { CAPACITY, Handled, population, type Run, type Workload } from "./shared.ts"

interface Message {
  readonly count: number
  readonly reply: ((sum: number) => void) | undefined
}

class Actor {
  private sum = 0
  private mailbox: Array<Message> = []
  private draining = false
  private readonly suspends: boolean
  private readonly hit: () => void
  private stopped = false

  constructor(hit: () => void, suspends: boolean) {
    this.hit = hit
    this.suspends = suspends
  }

  tell(count: number): void {
    this.send({ count, reply: undefined })
  }
  ask(count: number): Promise<number> {
    return new Promise((reply) => this.send({ count, reply }))
  }
  stop(): void {
    this.stopped = true
  }

  private send(message: Message): void {
    if (this.stopped || this.mailbox.length >= CAPACITY) throw new Error("stopped, or full")
    this.mailbox.push(message)
    if (this.draining) return
    this.draining = true
    queueMicrotask(this.suspends ? this.drainSlowly : this.drain)
  }
  private handle({ count, reply }: Message): void {
    this.sum += count
    this.hit()
    reply?.(this.sum)
  }
  private readonly drain = (): void => {
    while (this.mailbox.length > 0) {
      const batch = this.mailbox
      this.mailbox = []
      for (const message of batch) this.handle(message)
    }
    this.draining = false
  }
  private readonly drainSlowly = async (): Promise<void> => {
    while (this.mailbox.length > 0) {
      const batch = this.mailbox
      this.mailbox = []
      for (const message of batch) {
        await Promise.resolve()
        this.handle(message)
      }
    }
    this.draining = false
  }
}

const make = (handled: Handled, suspends = false): Counter => {
  const actor = new Actor(handled.hit, suspends)
  return { tell: (count) => actor.tell(count), ask: (count) => actor.ask(count) }
}

export const runs: Partial<Record<Workload, Run>> = {
  "tell": (job) => {
    const handled = new Handled()
    return tells(make(handled), handled, job)
  },
  "ask": (job) => asks(make(new Handled()), job),
  "contended": (job) => contended(make(new Handled()), job),
  "contended-suspending": (job) => contended(make(new Handled(), true), job),
  "population": (job) =>
    population(job, (size) => {
      const handled = new Handled()
      const actors = new Map<string, Actor>()
      return Promise.resolve({
        start: async () => {
          for (let i = 0; i < size; i++) {
            const actor = new Actor(handled.hit, false)
            actors.set(`a${i}`, actor)
            await actor.ask(1)
          }
        },
        stop: () => {
          let stopped = 0
          for (const actor of actors.values()) {
            actor.stop()
            stopped++
          }
          actors.clear()
          return Promise.resolve(stopped)
        },
      })
    }),
}
