import { Cause, Clock, type Context, Effect, type Fiber } from "effect"
import { type RestartPolicy, Restarts } from "../task/restarts.ts"
import { type Timer, timersOf } from "../task/timers.ts"
import type { Cell } from "./cell.ts"
import { Stopped } from "./errors.ts"
import type { Reachable } from "./inside.ts"
import { Place } from "./routing.ts"
import type { Terminated } from "./terminated.ts"

/** Who owns the routees of a pool. */
export interface Ground {
  /** Starts the routee of that key. */
  readonly start: (key: string) => Cell
  /** No routee is left, and the last one failed. */
  readonly failed: (cause: Cause.Cause<unknown>) => void
  /** Runs it in a later turn. */
  readonly later: (task: () => void) => void
}

/** One routee after the other, under one key. */
interface Seat {
  readonly key: string
  readonly restarts: Restarts
  cell: Cell
  /** It has a routee, or will have one. */
  taken: boolean
  timer: Timer | undefined
}

/**
 * The routees of one owner. One that is gone for good is replaced if it failed, as often as the
 * policy allows, and is not if it was stopped.
 */
export class Pool {
  readonly name: string
  readonly places: ReadonlyArray<Place>
  private readonly keys: ReadonlyArray<string>
  private readonly policy: RestartPolicy
  /** Whether the owner fails with the last routee. */
  private readonly escalates: boolean
  private readonly clock: Clock.Clock
  private readonly context: Context.Context<never>
  private seats: ReadonlyArray<Seat> = []
  private ground: Ground | undefined = undefined
  /** Told of each routee that is replaced. */
  onReplaced: ((cell: Cell) => void) | undefined = undefined

  constructor(
    name: string,
    /** The key and the path of each place. */
    places: ReadonlyArray<readonly [key: string, path: string]>,
    policy: RestartPolicy,
    escalates: boolean,
    fiber: Fiber.Fiber<unknown, unknown>,
  ) {
    this.name = name
    this.keys = places.map(([key]) => key)
    this.places = places.map(([, path], i) => new Place(path, this.targetOf(path, i)))
    this.policy = policy
    this.escalates = escalates
    this.clock = fiber.getRef(Clock.Clock)
    this.context = fiber.context as Context.Context<never>
  }

  /** The routees, the dead ones included. */
  get cells(): ReadonlyArray<Cell> {
    return this.seats.map(({ cell }) => cell)
  }

  /** Starts all routees; those of an earlier life are forgotten. */
  open(ground: Ground): void {
    this.ground = ground
    for (const cell of this.cells) this.onReplaced?.(cell)
    this.seats = this.keys.map((key) => ({
      key,
      restarts: new Restarts(this.policy, this.context),
      cell: ground.start(key),
      taken: true,
      timer: undefined,
    }))
    for (const seat of this.seats) this.watch(ground, seat)
  }

  /** The owner ends, and its routees with it. */
  close(): void {
    this.ground = undefined
    for (const seat of this.seats) {
      if (seat.timer !== undefined) timersOf(this.clock).cancel(seat.timer)
      seat.timer = undefined
    }
  }

  private targetOf(path: string, index: number): Reachable {
    return {
      path,
      peek: () => {
        const cell = this.seats[index]?.cell
        return cell === undefined || cell.terminated !== undefined ? undefined : cell
      },
      resolve: (tag) =>
        this.seats[index]?.cell ??
          { absent: new Stopped({ actor: this.name, tag, started: false }) },
    }
  }

  private watch(ground: Ground, seat: Seat): void {
    seat.cell.onTerminated((terminated) => {
      if (this.ground === ground) this.ended(ground, seat, terminated)
    })
  }

  private ended(ground: Ground, seat: Seat, { cause, reason }: Terminated): void {
    const why = reason === "failed" ? cause ?? Cause.empty : undefined
    if (why === undefined) return this.vacate(ground, seat, undefined)
    const now = this.clock.currentTimeMillisUnsafe()
    const verdict = seat.restarts.crashed(now, why)
    if (verdict._tag === "Exhausted") return this.vacate(ground, seat, why)
    const { attempt, delayMs } = verdict
    this.log(Effect.logWarning(
      `Actor "${seat.cell.path}" of router "${this.name}" is replaced by a new one ` +
        `(attempt ${attempt}${delayMs > 0 ? `, in ${Math.round(delayMs)} ms` : ""}).`,
    ))
    const begin = () => {
      seat.timer = undefined
      if (this.ground !== ground) return
      this.onReplaced?.(seat.cell)
      seat.cell = ground.start(seat.key)
      this.watch(ground, seat)
    }
    // Not on the stack on which the last one ended: the next may end at once as well.
    if (delayMs <= 0) ground.later(begin)
    else seat.timer = timersOf(this.clock).schedule(now + delayMs, begin)
  }

  private vacate(ground: Ground, seat: Seat, cause: Cause.Cause<unknown> | undefined): void {
    seat.taken = false
    if (cause !== undefined) {
      this.log(Effect.logError(
        `Actor "${seat.cell.path}" failed too often and leaves router "${this.name}".`,
      ))
    }
    if (this.seats.some(({ taken }) => taken)) return
    if (cause !== undefined && this.escalates) return ground.failed(cause)
    this.log(Effect.logWarning(`No actor is left in router "${this.name}".`))
  }

  private log(effect: Effect.Effect<void>): void {
    Effect.runForkWith(this.context)(effect).addObserver(() => {})
  }
}
