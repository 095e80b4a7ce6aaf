import { type Context, Duration, Effect, type Fiber } from "effect"
import { Mistake } from "../internal/mistake.ts"
import * as CancelReason from "../task/CancelReason.ts"
import { CurrentScope } from "../task/scope.ts"
import { type Timer, timersOf } from "../task/timers.ts"
import type { ActorContext } from "./ActorContext.ts"
import type { Cell } from "./cell.ts"
import { handlingOf } from "./handling.ts"
import type { Target } from "./sending.ts"
import { type Control, stashSignal } from "./control.ts"
import type { Terminated } from "./terminated.ts"
import type { AnyRef } from "./types.ts"

/** What a reference knows that its users need not. */
export interface Reachable extends Target {
  /** Where it is. */
  readonly path: string
  /** The actor, if it is there. */
  readonly peek: () => Cell | undefined
  /** Where its kind is, unless it is somebody's child. */
  readonly slot?: { readonly kind: { readonly activates: boolean } | undefined }
}

/** Whether a message sent now would be taken, if there is room. */
export const isOpen = (target: Reachable): boolean => {
  const cell = target.peek()
  return cell === undefined ? target.slot?.kind?.activates === true : !cell.stopping
}

/** Where the engine finds it on a reference. */
export const reach: unique symbol = Symbol.for("weir/actor/reach")

export const reachOf = (ref: { readonly path: string }): Reachable =>
  (ref as { readonly path: string; readonly [reach]: Reachable })[reach]

const stash = Effect.withFiber((fiber) => {
  const handling = handlingOf(fiber.getRef(CurrentScope).task)
  if (handling?.entry === undefined) {
    return Effect.die(new Mistake("Only the handler of a message can put one aside."))
  }
  handling.stashing = true
  return Effect.die(stashSignal)
})

/**
 * The actor's own view of itself. Every actor has one for as long as it lives, so what it can do is
 * made when it is asked for: six closures would be a sixth of the memory of an idle actor.
 */
export class Inside {
  readonly cell: Cell
  readonly incarnation: number

  constructor(cell: Cell, incarnation: number) {
    this.cell = cell
    this.incarnation = incarnation
  }

  /** Nothing is begun for a life that is over, such as by one of its finalizers. */
  private get live(): boolean {
    return this.cell.incarnation?.number === this.incarnation
  }

  /** Its own reference reaches this very actor. */
  get [reach](): Reachable {
    const { cell } = this
    return {
      path: cell.path,
      peek: () => cell.terminated === undefined ? cell : undefined,
      resolve: () => cell,
    }
  }

  get path(): string {
    return this.cell.path
  }

  get key(): string {
    return this.cell.key
  }

  get stash(): Effect.Effect<never> {
    return stash
  }

  get unstashAll(): Effect.Effect<void> {
    const { cell } = this
    return Effect.sync(() => {
      if (cell.mailbox.unstash() > 0) cell.schedule()
    })
  }

  get stop(): Effect.Effect<void> {
    const { cell } = this
    return Effect.sync(() =>
      cell.halt({
        ending: "stopped",
        reason: CancelReason.Requested(cell.path, "it stopped itself"),
        drainMs: cell.home.settings.graceMs,
      })
    )
  }

  get spawn(): ActorContext["spawn"] {
    return (actor, name, init, options) =>
      Effect.withFiber((fiber) => {
        const { cell } = this
        if (!this.live) {
          return Effect.die(
            new Mistake(`Actor "${cell.path}" cannot spawn "${name}": this life of it has ended.`),
          )
        }
        if (cell.children?.has(name)) {
          return Effect.die(
            new Mistake(`Actor "${cell.path}" has a child named "${name}" already.`),
          )
        }
        return Effect.succeed(
          cell.home.spawn(
            cell,
            actor as never,
            name,
            init as never,
            options,
            fiber as Fiber.Fiber<unknown, unknown>,
          ) as never,
        )
      })
  }

  get watch(): ActorContext["watch"] {
    return <R>(
      ref: AnyRef,
      then: (terminated: Terminated) => Effect.Effect<void, never, R>,
    ): Effect.Effect<void, never, R> =>
      this.begin((context) => {
        const name = `watch ${ref.path}`
        this.undo(name)
        let control: Control | undefined
        const notify = (terminated: Terminated) => {
          control = {
            name,
            context,
            effect: Effect.suspend(() => {
              this.cell.undo?.delete(name)
              return then(terminated) as Effect.Effect<void>
            }),
          }
          this.cell.command(control)
        }
        const other = reachOf(ref).peek()
        let remove: (() => void) | undefined
        this.keep(name, () => {
          remove?.()
          if (control !== undefined) this.cell.retract(control)
        })
        if (other === undefined) notify({ path: ref.path, reason: "not-running", cause: undefined })
        else remove = other.onTerminated(notify)
      })
  }

  get unwatch(): ActorContext["unwatch"] {
    return (ref: AnyRef): Effect.Effect<void> => Effect.sync(() => this.undo(`watch ${ref.path}`))
  }

  get timer(): ActorContext["timer"] {
    return <R>(
      name: string,
      when: { readonly after: Duration.Input } | { readonly every: Duration.Input },
      effect: Effect.Effect<void, never, R>,
    ): Effect.Effect<void, never, R> =>
      this.begin((context) => {
        const key = `timer ${name}`
        this.undo(key)
        const every = "every" in when
        const ms = Duration.toMillis(Duration.fromInputUnsafe(every ? when.every : when.after))
        if (every && !(ms >= 1)) throw new Mistake(`Timer "${name}": every must be at least 1 ms.`)
        this.repeat(key, effect as Effect.Effect<void>, context, (due, now) => {
          if (due === undefined) return now + ms
          return every ? Math.max(now, due) + ms : undefined
        })
      })
  }

  get cancelTimer(): ActorContext["cancelTimer"] {
    return (name: string): Effect.Effect<void> => Effect.sync(() => this.undo(`timer ${name}`))
  }

  get receiveTimeout(): ActorContext["receiveTimeout"] {
    return <R>(
      duration: Duration.Input,
      effect: Effect.Effect<void, never, R>,
    ): Effect.Effect<void, never, R> =>
      this.begin((context) => {
        const key = "receiveTimeout"
        this.undo(key)
        const ms = Duration.toMillis(Duration.fromInputUnsafe(duration))
        if (!(ms >= 1)) throw new Mistake("receiveTimeout: the duration must be at least 1 ms.")
        const { cell } = this
        let from = cell.now()
        this.repeat(key, effect as Effect.Effect<void>, context, (due, now) => {
          if (due !== undefined) from = now
          return Math.max(from, cell.lastAt) + ms
        }, () => cell.lastAt + ms > cell.now())
      })
  }

  /** Begins something that runs code of the caller later, in the caller's context. */
  private begin(start: (context: Context.Context<never>) => void): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      if (this.live) start(fiber.context as Context.Context<never>)
      return Effect.void
    })
  }

  /** Runs an effect at each instant that `next` names, until it names none. */
  private repeat(
    name: string,
    effect: Effect.Effect<void>,
    context: Context.Context<never>,
    next: (due: number | undefined, now: number) => number | undefined,
    early: () => boolean = () => false,
  ): void {
    const { cell } = this
    const timers = timersOf(cell.home.clock)
    let timer: Timer | undefined
    let control: Control | undefined
    const arm = (due: number | undefined) => {
      const at = next(due, cell.now())
      if (at === undefined) {
        timer = undefined
        return
      }
      timer = timers.schedule(at, () => {
        if (early()) return arm(undefined)
        if (control === undefined) {
          control = {
            name,
            effect,
            context,
            over: () => {
              control = undefined
              // Unless the effect has put another one in its place.
              if (timer === undefined && cell.undo?.get(name) === undo) cell.undo.delete(name)
            },
          }
          cell.command(control)
        }
        arm(at)
      })
    }
    const undo = () => {
      if (timer !== undefined) timers.cancel(timer)
      if (control !== undefined) cell.retract(control)
    }
    this.keep(name, undo)
    arm(undefined)
  }

  private keep(name: string, step: () => void): void {
    ;(this.cell.undo ??= new Map()).set(name, step)
  }

  private undo(name: string): void {
    const step = this.cell.undo?.get(name)
    if (step === undefined) return
    this.cell.undo!.delete(name)
    step()
  }
}
