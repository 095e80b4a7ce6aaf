import * as Gcra from "../bounded/Gcra.ts"
import { Quota } from "../bounded/quota.ts"
import type { ApiKey, Credential } from "../store/ApiKeys.ts"
import { idOf, matches, same, secretOf } from "../store/secret.ts"
import type { Principal } from "./identity.ts"

/** How long what is known may be used, in milliseconds. */
export interface Times {
  /** Without asking again. */
  readonly ttlMs: number
  /** While the database is away. */
  readonly staleMs: number
  /** That there is no such key. */
  readonly unknownMs: number
}

/** What is known of one key. */
export class Entry {
  readonly principal: Principal
  /** From when on it is refused, by our clock. */
  readonly endsAt: number
  readonly loadedAt: number
  /** When it is to be asked for again. */
  refreshAt: number
  /** Since the hand came by. */
  recent = false
  private readonly hash: Uint8Array
  /** Private to the engine, so that no inspection and no JSON shows it. */
  #presented: string | undefined = undefined

  constructor(
    { ended, hash, key, leftMs }: Credential,
    now: number,
    refreshAt: number,
    before: Entry | undefined,
  ) {
    this.principal = principalOf(key)
    this.hash = hash
    this.endsAt = ended ? -Infinity : now + leftMs
    this.loadedAt = now
    this.refreshAt = refreshAt
    // A key keeps its secret for life: another one has another id.
    if (before !== undefined) {
      this.recent = before.recent
      this.#presented = before.#presented
    }
  }

  /**
   * Whether the text is this key. The first time its hash is compared; from then on the text itself,
   * which takes 0.1 µs instead of 4: the request's own copy lies in memory anyway.
   */
  accepts(text: string): boolean {
    if (this.#presented !== undefined) return same(this.#presented, text)
    const secret = secretOf(text)
    if (secret === undefined || !matches(this.hash, secret)) return false
    this.#presented = text
    return true
  }
}

/** How many ids without a key are remembered. */
const mostUnknown = 1024

/**
 * What is known of keys. Synchronous; the time comes with each call.
 *
 * *Bounded by* a number of keys. When it is full, a hand goes round and takes out the first that
 * was not used since it last came by. Ids that do not exist are kept apart, so that guesses push out
 * guesses only.
 */
export class Keyring {
  readonly quota: Quota
  readonly times: Times
  /** Set while the database does not answer. */
  away = false
  private readonly prefix: string
  private readonly refresh: (id: string) => void
  private readonly entries = new Map<string, Entry>()
  private readonly unknown = new Map<string, number>()
  private hand: Iterator<Entry> = this.entries.values()

  constructor(prefix: string, capacity: number, times: Times, refresh: (id: string) => void) {
    this.quota = new Quota("cache", "principals", capacity)
    this.prefix = prefix
    this.times = times
    this.refresh = refresh
  }

  /** The id to ask for; `undefined` when the text cannot be a key. */
  idOf(text: string): string | undefined {
    return idOf(this.prefix, text)
  }

  /** Whose key it is; `"wrong"` when it is nobody's, `undefined` when that is not known. */
  recognize(text: string, now: number): Principal | "wrong" | undefined {
    const id = idOf(this.prefix, text)
    if (id === undefined) return "wrong"
    const entry = this.entries.get(id)
    if (entry !== undefined && this.usable(entry, now)) return this.judge(entry, text, now)
    const until = this.unknown.get(id)
    if (until !== undefined && now < until) return "wrong"
    // What is mistyped, or made up by somebody who has not read this file, costs no query.
    return secretOf(text) === undefined ? "wrong" : undefined
  }

  /** The same, of an entry that is there. */
  judge(entry: Entry, text: string, now: number): Principal | "wrong" {
    if (!entry.accepts(text) || now >= entry.endsAt) return "wrong"
    entry.recent = true
    if (now >= entry.refreshAt) {
      // Once; whoever asks sets the time of the next attempt.
      entry.refreshAt = Infinity
      this.refresh(entry.principal.id)
    }
    return entry.principal
  }

  /** An entry that has been loaded. */
  put(credential: Credential, now: number): Entry {
    const { id } = credential.key
    const { ttlMs } = this.times
    const before = this.entries.get(id)
    const entry = new Entry(credential, now, now + ttlMs * 2 / 3, before)
    this.unknown.delete(id)
    if (before === undefined) {
      if (this.entries.size >= this.quota.capacity) this.evict()
      this.quota.took()
    }
    this.entries.set(id, entry)
    return entry
  }

  /** There is no such key. */
  absent(id: string, now: number): void {
    this.forget(id)
    if (this.unknown.size >= mostUnknown) {
      for (const first of this.unknown.keys()) {
        this.unknown.delete(first)
        break
      }
    }
    this.unknown.set(id, now + this.times.unknownMs)
  }

  /** It could not be loaded: asks again a little later. */
  postpone(id: string, at: number): void {
    const entry = this.entries.get(id)
    if (entry !== undefined) entry.refreshAt = at
  }

  /** It has been changed. */
  forget(id: string): void {
    if (this.entries.delete(id)) this.quota.leave()
  }

  private usable({ loadedAt }: Entry, now: number): boolean {
    const age = now - loadedAt
    return age < this.times.ttlMs || (this.away && age < this.times.staleMs)
  }

  private evict(): void {
    while (true) {
      let next = this.hand.next()
      if (next.done) {
        this.hand = this.entries.values()
        next = this.hand.next()
      }
      const entry = next.value
      if (!entry.recent) return this.forget(entry.principal.id)
      entry.recent = false
    }
  }
}

const principalOf = ({ criticality, id, limit, name, scopes, tenant }: ApiKey): Principal => ({
  id,
  name,
  tenant,
  criticality,
  scopes: scopes ?? [],
  limit: limit === undefined || limit === "none" ? limit : Gcra.rate(`API key ${id}: limit`, limit),
})
