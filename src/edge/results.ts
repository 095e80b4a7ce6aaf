import type { HttpServerResponse } from "effect/http"
import type { Caller } from "../admission/Caller.ts"
import type { Stats } from "../bounded/Bounded.ts"
import type { Refusal } from "../bounded/Refused.ts"
import { Mistake } from "../internal/mistake.ts"
import type { CancelReason } from "../task/CancelReason.ts"
import type { Outcome } from "../task/TaskTree.ts"
import * as Problem from "./Problem.ts"
import { Quota } from "../bounded/quota.ts"

/**
 * The bounds of a result store, with every default filled in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bounds {
  /** Results, kept and promised. */
  readonly count: number
  /** Bytes of all of them. */
  readonly totalBytes: number
  /** Bytes of one. */
  readonly maxBytes: number
  /** How long a result is kept at most, in milliseconds. */
  readonly ttlMs: number
  /** How long one that nobody has fetched is kept in any case, in milliseconds. */
  readonly guaranteedMs: number
}

/**
 * A task that has ended, and what it answered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Result {
  /** Id of the task. */
  readonly id: string
  /** What it did. */
  readonly name: string
  /** When it started, in absolute milliseconds. */
  readonly startedAt: number
  /** When it ended, in absolute milliseconds. */
  readonly endedAt: number
  /** How it ended. */
  readonly outcome: Outcome
  /** Why it was cancelled, if it was. */
  readonly cancelReason: CancelReason | undefined
  /** Whose key it was asked for with; only with that one it is given out. */
  readonly owner: Pick<Caller, "id" | "tenant"> | undefined
  /** Status, headers and bytes; the body is never a stream. */
  readonly response: HttpServerResponse.HttpServerResponse
}

/**
 * A place for one result, taken before its task starts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  /** Fills the place; there is always room. */
  readonly keep: (result: Result) => void
  /** Gives the place back: nobody will ask for this result. */
  readonly release: () => void
}

/**
 * Finished answers for those who come back for them. Synchronous.
 *
 * **Details** – every place promised counts with the largest size a result may have, so that what
 * was accepted can always be stored. Room is made by forgetting the oldest of those that were
 * fetched, or are older than the guaranteed time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Results {
  /** Takes a place, or says why not; `now` in absolute milliseconds. */
  readonly promise: (now: number) => Place | Refusal
  /** The result of that task, if it is still kept. */
  readonly find: (id: string, now: number) => Result | undefined
  /** The same; from now on it may make room for others. */
  readonly fetch: (id: string, now: number) => Result | undefined
  /** How long a result is kept at most, in milliseconds. */
  readonly ttlMs: number
}

interface Entry extends Result {
  readonly bytes: number
  fetched: boolean
}

/** The store; `inUse` counts the kept and the promised. */
export class ResultStore extends Quota implements Results {
  readonly bounds: Bounds
  /** Oldest end first. */
  private readonly kept = new Map<string, Entry>()
  private keptBytes = 0
  private promised = 0

  constructor(bounds: Bounds) {
    super("results", "results", bounds.count)
    if (bounds.maxBytes > bounds.totalBytes) {
      throw new Mistake(
        `One result may have ${bounds.maxBytes} bytes, but all of them together only ` +
          `${bounds.totalBytes}. Lower async.maxBytes or raise async.totalBytes.`,
      )
    }
    this.bounds = bounds
  }

  get ttlMs(): number {
    return this.bounds.ttlMs
  }

  /** Bytes of the kept results. */
  get bytes(): number {
    return this.keptBytes
  }

  promise(now: number): Place | Refusal {
    this.expire(now)
    let retryAfterMs = 1000
    for (const entry of this.kept.values()) {
      if (this.hasRoom()) break
      const protectedMs = entry.fetched ? 0 : entry.endedAt + this.bounds.guaranteedMs - now
      if (protectedMs <= 0) this.forget(entry)
      else if (retryAfterMs === 1000) retryAfterMs = protectedMs
    }
    if (!this.hasRoom()) return this.refuse("QueueFull", retryAfterMs)
    this.promised++
    this.took()
    let open = true
    const close = (): boolean => {
      if (!open) return false
      open = false
      this.promised--
      return true
    }
    return {
      keep: (result) => {
        if (close()) this.store(result)
      },
      release: () => {
        if (close()) this.leave()
      },
    }
  }

  find(id: string, now: number): Result | undefined {
    this.expire(now)
    return this.kept.get(id)
  }

  fetch(id: string, now: number): Result | undefined {
    this.expire(now)
    const entry = this.kept.get(id)
    if (entry !== undefined) entry.fetched = true
    return entry
  }

  override stats(now: number): Stats {
    this.expire(now)
    return super.stats(now)
  }

  private hasRoom(): boolean {
    return this.inUse < this.bounds.count &&
      this.keptBytes + (this.promised + 1) * this.bounds.maxBytes <= this.bounds.totalBytes
  }

  private store(result: Result): void {
    const size = sizeOf(result.response)
    const fits = size <= this.bounds.maxBytes
    const response = fits ? result.response : tooLarge(size, this.bounds.maxBytes)
    const bytes = Math.min(sizeOf(response), this.bounds.maxBytes)
    this.kept.set(result.id, { ...result, response, bytes, fetched: false })
    this.keptBytes += bytes
  }

  private expire(now: number): void {
    for (const entry of this.kept.values()) {
      if (now - entry.endedAt < this.bounds.ttlMs) return
      this.forget(entry)
    }
  }

  private forget(entry: Entry): void {
    this.kept.delete(entry.id)
    this.keptBytes -= entry.bytes
    this.leave()
  }
}

/** A result that is not kept, because it is larger than one may be. */
export const tooLarge = (
  bytes: number | undefined,
  most: number,
): HttpServerResponse.HttpServerResponse =>
  Problem.render({
    slug: "result-too-large",
    status: 500,
    title: "The result is too large to be kept",
    detail: `The work was done, but its answer has ${bytes ?? "more than"}${
      bytes === undefined ? ` ${most}` : ""
    } bytes and at most ${most} are kept. Ask for less, or without \`Prefer: respond-async\`.`,
  }, 0)

/** Bytes of the body and, roughly, of the headers. */
const sizeOf = (response: HttpServerResponse.HttpServerResponse): number => {
  let size = response.body._tag === "Uint8Array" ? response.body.contentLength : 0
  for (const [name, value] of Object.entries(response.headers)) {
    size += name.length + (value?.length ?? 0)
  }
  return size
}
