/**
 * A dependency as the simulator sees it: the real `Dependency`, on the simulator's clock and in its turns
 * of the event loop, and behind it the servers of somebody else.
 */
import {
  Clock,
  Context,
  Effect,
  type Exit,
  type Fiber,
  Random,
  Scheduler,
  Scope,
  Stream,
} from "effect"
import type { Bounded } from "../../src/bounded/Bounded.ts"
import { Refused } from "../../src/bounded/Refused.ts"
import * as Saturation from "../../src/bounded/Saturation.ts"
import type { Transition } from "../../src/pool/Breaker.ts"
import * as Dependency from "../../src/pool/Dependency.ts"
import * as CancelReason from "../../src/task/CancelReason.ts"
import { CancelScope, CurrentScope, root } from "../../src/task/scope.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"
import type { Call } from "./call.ts"
import { clockOf } from "./clock.ts"
import type { Ended, World } from "./control.ts"
import { held, type Place } from "./place.ts"
import { thingOf } from "./senders.ts"

/** How the dependency is called, and what it did; a new one for each run. */
export class Remote {
  readonly options: Partial<Dependency.Options>
  /** Whether the routes name it under `uses`. Default true. */
  readonly declared: boolean
  /** When something was sent to it, and whether for the first time. */
  readonly sent: Array<{ readonly at: number; readonly first: boolean }> = []
  readonly transitions: Array<Transition> = []
  /** Refusals by the dependency itself, behind the door. */
  readonly refused: Record<string, number> = {}

  constructor(options: Partial<Dependency.Options> = {}, declared = true) {
    this.options = options
    this.declared = declared
  }
}

/** One request at the dependency. */
interface Live {
  readonly frame: CancelScope
  readonly account: { waitedMs: number; waitingOn: string | undefined }
  readonly waitedBefore: number
  fiber: Fiber.Fiber<void, unknown> | undefined
  resume: (answer: Effect.Effect<void, string>) => void
  sent: number
  exit: Exit.Exit<void, unknown> | undefined
}

export class RemotePlace implements Place {
  readonly bounded: Bounded
  readonly #world: World
  readonly #remote: Remote
  readonly #dependency: Dependency.Dependency
  readonly #context: Context.Context<never>
  readonly #live = new Map<Call, Live>()
  readonly #servers: number
  #busy = 0
  /** Sent, and not worked on yet. */
  readonly #line = new Set<Call>()

  constructor(world: World, name: string, remote: Remote) {
    this.#world = world
    this.#remote = remote
    this.#servers = thingOf(world.scenario, name).capacity
    this.#context = contextOf(world)
    // Not `runSync`, which has a scheduler of its own.
    const made = this.#run(
      Scope.provide(
        Dependency.make({ name, idempotent: true, ...remote.options }),
        Scope.makeUnsafe(),
      ),
    ).pollUnsafe()
    if (made?._tag !== "Success") throw new Error("Cannot make the dependency.")
    this.#dependency = made.value
    this.bounded = this.#dependency.bounded
    this.#run(
      Stream.runForEach(
        this.#dependency.transitions,
        (transition) => Effect.sync(() => remote.transitions.push(transition)),
      ),
    )
  }

  get bound(): number {
    const { capacity, queueCapacity } = this.bounded.stats(0)
    return capacity + queueCapacity
  }

  acquire(call: Call, now: number): void {
    const { rank, tenant, tickets } = held(call)
    const account = { waitedMs: 0, waitingOn: undefined }
    const deadline = call.seenAt + call.sender.deadlineMs
    const live: Live = {
      frame: new CancelScope(root, deadline, account, tickets, undefined, rank, tenant),
      account,
      waitedBefore: call.waitedMs + now - call.waitSince,
      fiber: undefined,
      resume: () => {},
      sent: 0,
      exit: undefined,
    }
    this.#live.set(call, live)
    const work = Effect.callback<void, string>((resume) => {
      live.resume = resume
      this.#remote.sent.push({ at: this.#world.now(), first: live.sent++ === 0 })
      this.#line.add(call)
      this.#serve()
      return Effect.sync(() => this.#stop(call))
    })
    const fiber = this.#run(this.#dependency.call(work), live.frame)
    live.fiber = fiber
    fiber.addObserver((exit) => this.#ended(call, live, exit))
  }

  abandon(call: Call, now: number): void {
    this.#cancel(call, now)
  }

  release(call: Call, now: number, ended: Ended): void {
    this.#busy--
    const { resume } = this.#live.get(call)!
    if (ended === "cancelled") this.#cancel(call, now)
    else resume(ended === "completed" ? Effect.void : Effect.fail("down"))
    this.#serve()
  }

  keeps(call: Call): boolean {
    return this.#live.has(call)
  }

  /** As its task does at the deadline, or when the client leaves. */
  #cancel(call: Call, now: number): void {
    const { fiber, frame } = this.#live.get(call)!
    frame.cancel(
      call.outcome === "left" ? CancelReason.ClientAbort : CancelReason.DeadlineExceeded(now),
    )
    fiber!.interruptUnsafe()
  }

  /** What was sent is taken back: nobody waits for its answer. */
  #stop(call: Call): void {
    if (this.#line.delete(call) || call.state !== "running") return
    this.#world.stopped(call)
    this.#busy--
    this.#serve()
  }

  #serve(): void {
    for (const call of this.#line) {
      if (this.#busy >= this.#servers) return
      this.#line.delete(call)
      this.#busy++
      this.#world.granted(call)
    }
  }

  #ended(call: Call, live: Live, exit: Exit.Exit<void, unknown>): void {
    this.#live.delete(call)
    const now = this.#world.now()
    call.waitedMs = live.waitedBefore + live.account.waitedMs
    call.waitSince = now
    // Else the simulator is at it: it has ended the work, or cancels the call.
    if (call.state !== "waiting" || call.gone || exit._tag === "Success") return
    const reason = exit.cause.reasons.find((reason) => reason._tag === "Fail")
    if (!(reason?.error instanceof Refused)) return this.#world.failed(call)
    const { error } = reason
    this.#remote.refused[error.reason] = (this.#remote.refused[error.reason] ?? 0) + 1
    this.#world.turnedAway(call, error)
  }

  #run<A, E>(effect: Effect.Effect<A, E>, frame = root): Fiber.Fiber<A, E> {
    return Effect.runForkWith(Context.add(this.#context, CurrentScope, frame))(effect)
  }
}

/** The time, the turns of the event loop and the chance of the simulator. */
const contextOf = (world: World): Context.Context<never> => {
  const scheduler: Scheduler.Scheduler = {
    executionMode: "async",
    shouldYield: () => false,
    makeDispatcher: () => ({ scheduleTask: (task) => world.turn(task), flush: () => {} }),
  }
  return Context.empty().pipe(
    Context.add(Clock.Clock, clockOf(world)),
    Context.add(Scheduler.Scheduler, scheduler),
    Context.add(Random.Random, {
      nextIntUnsafe: () => Math.floor(world.random() * 0x7fffffff),
      nextDoubleUnsafe: world.random,
    }),
    Context.add(Saturation.Saturation, Saturation.makeUnsafe()),
    Context.add(Metrics.Metrics, Metrics.makeUnsafe()),
  ) as Context.Context<never>
}
