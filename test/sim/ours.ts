/**
 * The seam to what ships: the door of `admission`, the slots of `pool`, the mailbox of `actor`, and an
 * endpoint as `edge` compiles it. Nothing is decided here. What `Run` and `Bulkhead` do around these
 * synchronous cores is done here in the same order: a ticket at the door, redeemed by the first acquire; a
 * sample for the endpoint when the request has ended.
 */
import { Clock, Context, Effect, Layer, Scope } from "effect"
import { Entry as Letter } from "../../src/actor/entry.ts"
import { Mailbox } from "../../src/actor/memory.ts"
import * as Admission from "../../src/admission/Admission.ts"
import { type Caller, tenantOf } from "../../src/admission/Caller.ts"
import * as LoopLag from "../../src/admission/LoopLag.ts"
import { rankOf } from "../../src/admission/Criticality.ts"
import { isRefusal, type Refusal } from "../../src/bounded/Refused.ts"
import * as Saturation from "../../src/bounded/Saturation.ts"
import * as ServiceTime from "../../src/bounded/ServiceTime.ts"
import { Compiled } from "../../src/edge/compiled.ts"
import * as Policies from "../../src/edge/Policy.ts"
import { Slots } from "../../src/pool/slots.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"
import type { Call } from "./call.ts"
import { clockOf } from "./clock.ts"
import type { Control, Ended, No, Policy, World } from "./control.ts"
import { type Held, held, type Place, ticketFor } from "./place.ts"
import { type Remote, RemotePlace } from "./remote.ts"
import { thingOf, thingsOf } from "./senders.ts"

/** Our admission, as it is by default. */
export const weir: Policy = {
  name: "weir",
  about: "ours: feasibility at the door, tickets, slots",
  cancels: true,
  make: (world) => new Ours(world, {}),
}

/** Our admission with another reserve on what it predicts: `margin` and `risk` of `Bulkhead.Options`. */
export const weirWith = (name: string, about: string, reserve: Reserve): Policy => ({
  name,
  about,
  cancels: true,
  make: (world) => new Ours(world, reserve),
})

/** Without a reserve: the line is filled up to the last request that can just make it. */
export const weirFull: Policy = weirWith("weir-full", "ours without a reserve", { risk: 0.5 })

/** With a fixed reserve alone. */
export const weirMargin: Policy = weirWith(
  "weir-margin",
  "ours with a fixed reserve of 0.3 instead of one that follows the variance",
  { risk: 0.5, margin: 0.3 },
)

/**
 * Our service as the client of somebody else's: the pool `main` is a dependency, with as many servers as
 * the pool has slots and a line of its own that nobody here sees.
 */
export const weirRemote = (remote: Remote): Policy => ({
  name: "weir-remote",
  about: "ours; the pool is a remote dependency behind Dependency",
  cancels: true,
  make: (world) => new Ours(world, { remote }),
})

interface Reserve {
  readonly margin?: number
  readonly risk?: number
}

interface Settings extends Reserve {
  readonly remote?: Remote
}

class Ours implements Control {
  readonly #admission: Admission.Admission
  readonly #endpoints = new Map<string, Compiled>()
  readonly #places = new Map<string, Place>()

  constructor(world: World, { remote, ...reserve }: Settings) {
    const { scenario } = world
    const registry = Saturation.makeUnsafe()
    this.#admission = doorOf(world, registry)
    for (const name of thingsOf(scenario)) {
      const place = scenario.mailboxes?.[name] !== undefined
        ? new ActorPlace(world, name)
        : remote !== undefined && name === "main"
        ? new RemotePlace(world, name, remote)
        : new PoolPlace(world, name, reserve)
      this.#places.set(name, place)
      registry.addUnsafe(place.bounded)
    }
    const metrics = Metrics.makeUnsafe()
    for (const [name, route] of Object.entries(scenario.routes ?? { main: {} })) {
      const all = [...(route.pools ?? ["main"]), ...(route.mailboxes ?? [])]
      const uses = remote?.declared === false ? all.filter((use) => use !== "main") : all
      const policy = Policies.resolve(name, {
        uses,
        ...(route.expectedMs === undefined ? {} : { expected: route.expectedMs }),
      })
      const things = uses.map((use) => this.#places.get(use)!.bounded)
      this.#endpoints.set(name, new Compiled(name, policy, things, metrics.endpoint(name)))
    }
  }

  enter(call: Call, now: number): No | undefined {
    const endpoint = this.#endpointOf(call)
    const caller = callerOf(call)
    // As `Ask` does.
    const rank = Math.max(endpoint.rank, rankOf(caller?.criticality))
    const tenant = tenantOf(caller)
    const tickets = this.#admission.enter(endpoint.uses, {
      now,
      deadline: now + call.sender.deadlineMs,
      service: endpoint.expectedMs(),
      expectation: endpoint.service,
      criticality: rank,
      tenant,
      caller,
    })
    if (isRefusal(tickets)) {
      endpoint.refused(tickets.reason)
      return tickets
    }
    endpoint.metrics.started()
    endpoint.inFlight++
    call.memo = { rank, tenant, tickets, entry: undefined, letter: undefined } satisfies Held
    return undefined
  }

  acquire(call: Call, thing: string, now: number): void {
    this.#places.get(thing)!.acquire(call, now)
  }

  abandon(call: Call, thing: string, now: number): void {
    this.#places.get(thing)!.abandon(call, now)
  }

  release(call: Call, thing: string, now: number, ended: Ended): void {
    this.#places.get(thing)!.release(call, now, ended)
  }

  keeps(call: Call, thing: string): boolean {
    return this.#places.get(thing)!.keeps?.(call) ?? false
  }

  // As `Run.finish` does.
  leave(call: Call, now: number, ended: Ended | "refused"): void {
    const endpoint = this.#endpointOf(call)
    const worked = now - call.seenAt - call.waitedMs
    endpoint.inFlight--
    this.#admission.leave(held(call).tickets)
    if (ended === "completed") endpoint.service.observe(worked)
    else if (ended === "cancelled") endpoint.service.observeCensored(worked)
    endpoint.metrics.ended()
  }

  drain(): void {
    this.#admission.close()
  }

  held(): number {
    let sum = this.#admission.inUse
    for (const { bounded } of this.#places.values()) {
      const { inUse, waiting } = bounded.stats(0)
      sum += inUse + waiting
    }
    for (const { inFlight } of this.#endpoints.values()) sum += inFlight
    return sum
  }

  line(): { longest: number; bound: number } {
    let longest = 0
    let bound = 0
    for (const place of this.#places.values()) {
      longest = Math.max(longest, place.bounded.stats(0).highWater)
      bound = Math.max(bound, place.bound)
    }
    return { longest, bound }
  }

  #endpointOf(call: Call): Compiled {
    return this.#endpoints.get(call.sender.routeName)!
  }
}

/** The door, and what watches the event loop; as in a service, but for the memory of this process. */
const doorOf = (world: World, registry: Saturation.Saturation): Admission.Admission =>
  Effect.runSync(
    Layer.buildWithScope(
      Layer.provide(Admission.layer(), LoopLag.layer()),
      Scope.makeUnsafe(),
    ).pipe(
      Effect.map((context) => Context.get(context, Admission.Admission)),
      Effect.provideService(Saturation.Saturation, registry),
      Effect.provideService(Clock.Clock, clockOf(world)),
    ),
  )

/** Who sends it, if anybody knows: a tenant among several, or somebody with a class of its own. */
const callerOf = ({ sender, tenant }: Call): Caller | undefined =>
  sender.tenants === undefined && sender.class === undefined
    ? undefined
    : { id: sender.name, tenant: `${sender.name} ${tenant}`, criticality: sender.class }

/** As `Bulkhead` does. */
class PoolPlace implements Place {
  readonly bounded: Slots
  readonly #world: World

  constructor(world: World, name: string, reserve: Reserve) {
    const { capacity, queueCapacity } = thingOf(world.scenario, name)
    this.#world = world
    this.bounded = new Slots({ kind: "pool", name, capacity, queueCapacity, ...reserve })
  }

  /** Who waits has a place in line, or a ticket; on free slots there are tickets beyond that. */
  get bound(): number {
    return this.bounded.queueCapacity + this.bounded.capacity
  }

  acquire(call: Call, now: number): void {
    const deadline = call.seenAt + call.sender.deadlineMs
    const { rank, tenant } = held(call)
    const entry = this.bounded.enter(now, deadline, ticketFor(call, this.bounded), rank, tenant)
    if (isRefusal(entry)) return this.#world.turnedAway(call, entry)
    held(call).entry = entry
    if (entry.state === "running") return this.#world.granted(call)
    entry.wake = () => {
      // The slot is handed over at once, the waiter starts in the next turn of the event loop.
      this.#world.timer(now, () => {
        if (call.state !== "waiting" || held(call).entry !== entry) return
        const refusal: Refusal | undefined = entry.refusal
        if (refusal === undefined) this.#world.granted(call)
        else this.#world.turnedAway(call, refusal)
      })
    }
  }

  abandon(call: Call, now: number): void {
    this.bounded.abandon(held(call).entry!, now)
  }

  release(call: Call, now: number, ended: Ended): void {
    this.bounded.leave(held(call).entry!, now, ended === "completed" ? "completed" : "cancelled")
  }
}

const doIt = { tag: "Do", lane: 0, reentrant: false, uninterruptible: false, retries: 0 }

/** As an actor does that handles one message at a time. */
class ActorPlace implements Place {
  readonly bounded: Mailbox
  readonly #world: World
  readonly #service = ServiceTime.make()
  readonly #calls = new Map<Letter, Call>()

  constructor(world: World, name: string) {
    const { capacity } = world.scenario.mailboxes![name]!
    this.#world = world
    this.bounded = new Mailbox(
      name,
      { concurrency: 1, capacity, overflow: "reject", offerers: capacity, stash: 0, lanes: 1 },
      this.#service,
      {
        lost: (letter) => this.#lost(letter),
        waited: () => {},
      },
    )
  }

  get bound(): number {
    return this.bounded.options.capacity
  }

  acquire(call: Call, now: number): void {
    const deadline = call.seenAt + call.sender.deadlineMs
    const letter = new Letter({ path: this.bounded.name }, doIt, 0, "ask", now, deadline)
    held(call).letter = letter
    const rejection = this.bounded.offer(letter, now, ticketFor(call, this.bounded))
    if (rejection !== undefined) {
      const { predictedWaitMs, reason } = rejection
      return this.#world.turnedAway(call, { reason, retryAfterMs: predictedWaitMs })
    }
    this.#calls.set(letter, call)
    this.#start(now)
  }

  abandon(call: Call, now: number): void {
    this.#end(call, now, "cancelled")
  }

  release(call: Call, now: number, ended: Ended): void {
    const letter = held(call).letter!
    const elapsed = now - letter.startedAt
    if (ended === "completed") this.#service.observe(elapsed)
    else this.#service.observeCensored(elapsed)
    this.#end(call, now, ended === "completed" ? "handled" : ended)
  }

  #end(call: Call, now: number, outcome: "handled" | "failed" | "cancelled"): void {
    const letter = held(call).letter!
    this.#calls.delete(letter)
    this.bounded.end(letter, outcome)
    this.#start(now)
  }

  #start(now: number): void {
    if (this.bounded.busy > 0) return
    const letter = this.bounded.take(now, 1)
    if (letter !== undefined) this.#world.granted(this.#calls.get(letter)!)
  }

  #lost(letter: Letter): void {
    const call = this.#calls.get(letter)!
    this.#calls.delete(letter)
    this.#world.turnedAway(call, { reason: "Late", retryAfterMs: 0 })
  }
}
