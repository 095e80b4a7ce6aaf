import { Cause, type Clock, type Context, Effect, Exit, Fiber, type Scope } from "effect"
import type { Quota } from "../bounded/quota.ts"
import { fromRefusal, isRefusal } from "../bounded/Refused.ts"
import { rooted } from "../internal/rooted.ts"
import type { ApiKeys, Credential, Unavailable } from "../store/ApiKeys.ts"
import { make as unavailable } from "../store/DatabaseUnavailable.ts"
import type { Keyring } from "./keyring.ts"
import { type Answer, WaitingRoom } from "./waitingroom.ts"

/** Ids in one query. */
const batch = 256
/** After a failure the database is left alone for so long. */
const pauseMs = 1000
/** Between two notes of what is in use. */
const notedMs = 60_000

/** Keys of whose use a note is kept. */
const mostInUse = 10_000

const nothing: ReadonlySet<string> = new Set()

/**
 * Asks for keys: one query at a time, with all that were asked for while the one before it ran. So
 * however many unknown keys arrive, they take one connection, and a key that a thousand requests ask
 * for is looked up once.
 *
 * *Bounded by* the number of requests that wait; refreshes, for which nobody waits, are at most as
 * many as there are keys in the ring. *Owned by* the scope of its layer.
 */
export class Lookups {
  private readonly keys: ApiKeys
  private readonly ring: Keyring
  private readonly timeoutMs: number
  private readonly scope: Scope.Scope
  private readonly context: Context.Context<never>
  private readonly clock: Clock.Clock
  private readonly room: WaitingRoom
  private readonly refreshing = new Set<string>()
  private asked = nothing
  /** Changed while they were being asked for. */
  private readonly changed = new Set<string>()
  private readonly inUse = new Set<string>()
  private notedAt = -Infinity
  private failed: { readonly cause: Cause.Cause<Unavailable>; readonly until: number } | undefined
  private running = false

  constructor(
    keys: ApiKeys,
    ring: Keyring,
    maxWaiting: number,
    timeoutMs: number,
    scope: Scope.Scope,
    context: Context.Context<never>,
    clock: Clock.Clock,
  ) {
    this.room = new WaitingRoom(maxWaiting)
    this.keys = keys
    this.ring = ring
    this.timeoutMs = timeoutMs
    this.scope = scope
    this.context = context
    this.clock = clock
  }

  get quota(): Quota {
    return this.room.quota
  }

  /** What is stored under the id, for somebody in that network; `undefined` when there is nothing. */
  find(id: string, peer: string): Answer {
    return Effect.callback((resume) => {
      if (this.failed !== undefined && this.now() < this.failed.until) {
        return resume(Effect.failCause(this.failed.cause))
      }
      const { room } = this
      const waiter = room.enter(id, peer, this.asked.has(id), resume)
      if (isRefusal(waiter)) return resume(Effect.fail(fromRefusal(waiter)))
      this.start()
      return Effect.sync(() => room.leave(waiter))
    })
  }

  /** Asks again for a key in use, behind its back. */
  refresh(id: string): void {
    this.used(id)
    this.refreshing.add(id)
    this.start()
  }

  /** The key is in use. */
  used(id: string): void {
    if (this.inUse.size < mostInUse) this.inUse.add(id)
  }

  /** The key has been changed; an answer that is on its way does not know yet. */
  change(id: string): void {
    if (this.asked.has(id)) this.changed.add(id)
  }

  /** Notes what is in use. Nobody fails for it; what could not be noted is noted the next time. */
  get note(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const ids = Array.from(this.inUse)
      this.inUse.clear()
      this.notedAt = this.now()
      if (ids.length === 0) return Effect.void
      return Effect.ignoreCause(
        Effect.onExit(this.within(this.keys.used(ids)), (exit) =>
          Effect.sync(() => {
            if (Exit.isFailure(exit)) { for (const id of ids) this.used(id) }
          })),
      )
    })
  }

  private now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  private start(): void {
    if (this.running) return
    this.running = true
    // A fiber for each query: Deno keeps some 450 bytes for each suspension of a fiber until it ends,
    // and while somebody sends made-up keys there is always a next query.
    const fiber = rooted(() => Effect.runForkWith(this.context)(this.run))
    Fiber.runIn(fiber, this.scope)
    fiber.addObserver((exit) => {
      this.running = false
      // It ends by itself unless its scope has closed, or there is a bug in it.
      if (!Exit.isFailure(exit)) {
        if (this.room.pending || this.refreshing.size > 0) this.start()
        return
      }
      for (const id of this.room.ids) {
        this.room.answer(
          id,
          Cause.hasDies(exit.cause)
            ? Effect.failCause(exit.cause)
            : Effect.fail(fromRefusal(this.quota.refuse("Closed", pauseMs))),
        )
      }
    })
  }

  private readonly run: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    // The turn ends first: its misses go together, and nobody's request pays for the query.
    yield* Effect.yieldNow
    const ids = this.take()
    if (ids.size === 0) return
    this.asked = ids
    const exit = yield* Effect.exit(this.within(this.keys.find(Array.from(ids))))
    this.asked = nothing
    if (Exit.isSuccess(exit)) this.loaded(ids, exit.value)
    else {
      // The door answers 500 to those who wait; what went wrong is said once, here.
      if (Cause.hasDies(exit.cause)) {
        yield* Effect.logError("API keys cannot be looked up; this is a bug.", exit.cause)
      }
      this.lost(ids, exit.cause)
    }
    if (this.inUse.size > 0 && this.now() - this.notedAt >= notedMs) {
      // On its own: an update may wait for a row, and no look-up shall wait for that. It cannot
      // fail, and its time is over long before the next one is due.
      Fiber.runIn(Effect.runForkWith(this.context)(this.note), this.scope)
    }
  })

  private within<A>(effect: Effect.Effect<A, Unavailable>): Effect.Effect<A, Unavailable> {
    return Effect.timeoutOrElse(effect, {
      duration: this.timeoutMs,
      orElse: () => Effect.fail(unavailable("TimedOut")),
    })
  }

  /**
   * Those for whom somebody waits come first, but leave half of the room to keys in use: whoever sends
   * made-up keys without end must not keep those that are known from being confirmed in time.
   */
  private take(): ReadonlySet<string> {
    const ids = new Set<string>()
    this.room.take(ids, batch / 2)
    move(this.refreshing, ids, batch)
    this.room.take(ids, batch)
    return ids
  }

  private loaded(ids: ReadonlySet<string>, found: ReadonlyArray<Credential>): void {
    const now = this.now()
    this.failed = undefined
    this.ring.away = false
    const byId = new Map(found.map((credential) => [credential.key.id, credential]))
    for (const id of ids) {
      if (this.changed.delete(id)) {
        this.room.again(id)
        continue
      }
      const credential = byId.get(id)
      if (credential === undefined) this.ring.absent(id, now)
      this.room.answer(id, this.kept(credential, now))
    }
  }

  /** A row that makes no sense, written by somebody else, must not fail those who are asked for with it. */
  private kept(credential: Credential | undefined, now: number): Answer {
    try {
      return Effect.succeed(credential && this.ring.put(credential, now))
    } catch (defect) {
      const cause = Cause.die(defect)
      const said = Effect.logError(`API key ${credential!.key.id} makes no sense as stored.`, cause)
      Effect.runForkWith(this.context)(said).addObserver(() => {})
      return Effect.failCause(cause)
    }
  }

  private lost(ids: ReadonlySet<string>, cause: Cause.Cause<Unavailable>): void {
    const until = this.now() + pauseMs
    // A refusal holds for the moment only; what is away stays away for a while.
    const refused = cause.reasons.some((it) =>
      Cause.isFailReason(it) && it.error._tag === "Refused"
    )
    this.failed = refused ? undefined : { cause, until }
    this.ring.away = true
    this.changed.clear()
    for (const id of ids) {
      this.ring.postpone(id, until)
      this.room.answer(id, Effect.failCause(cause))
    }
    // Whoever else waits would only hear the same, later.
    for (const id of this.room.unasked) this.room.answer(id, Effect.failCause(cause))
  }
}

const move = (from: Set<string>, to: Set<string>, most: number): void => {
  for (const id of from) {
    if (to.size >= most) return
    from.delete(id)
    to.add(id)
  }
}
