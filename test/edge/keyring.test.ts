import { describe, expect, it } from "@effect/vitest"
import { Redacted, Schema } from "effect"
import { Keyring, type Times } from "../../src/edge/keyring.ts"
import type { Credential } from "../../src/store/ApiKeys.ts"
import { issue } from "../../src/store/secret.ts"

const times: Times = { ttlMs: 30_000, staleMs: 600_000, unknownMs: 5000 }

const make = (change: Partial<Credential> = {}) => {
  const { hash, id, key } = issue("weir")
  const text = Redacted.value(key)
  const credential: Credential = {
    key: {
      id,
      name: "ada",
      tenant: "engines",
      createdAt: new Date(0),
      expiresAt: undefined,
      revokedAt: undefined,
      lastUsedAt: undefined,
      replacedBy: undefined,
    },
    hash,
    ended: false,
    leftMs: Infinity,
    ...change,
  }
  return { id, text, credential }
}

const ringOf = (capacity = 100) => {
  const asked: Array<string> = []
  const ring = new Keyring("weir", capacity, times, (id) => asked.push(id))
  return { asked, ring }
}

/** The same id, with one letter of the secret changed; its checksum no longer fits. */
const guess = (text: string) =>
  text.slice(0, -7) + (text.at(-7) === "x" ? "y" : "x") + text.slice(-6)

describe("Keyring", () => {
  it("knows a key for its time, and asks for it once before that is over", () => {
    const { asked, ring } = ringOf()
    const { credential, id, text } = make()
    expect(ring.recognize(text, 0)).toBeUndefined()
    ring.put(credential, 0)
    expect(ring.recognize(text, 19_999)).toMatchObject({ id, tenant: "engines" })
    expect(asked).toEqual([])
    for (const now of [20_000, 20_001, 29_999]) {
      expect(ring.recognize(text, now)).toMatchObject({ id })
    }
    expect(asked).toEqual([id])
    expect(ring.recognize(text, 30_000)).toBeUndefined()
    ring.put(credential, 30_000)
    expect(ring.recognize(text, 59_999)).toMatchObject({ id })
  })

  it("while the database is away goes on with what it has confirmed, until the stale limit", () => {
    const { asked, ring } = ringOf()
    const { credential, id, text } = make()
    ring.put(credential, 0)
    expect(ring.recognize(text, 30_000)).toBeUndefined()
    ring.away = true
    expect(ring.recognize(text, 30_000)).toMatchObject({ id })
    ring.postpone(id, 31_000)
    expect(ring.recognize(text, 30_999)).toMatchObject({ id })
    expect(asked).toEqual([id])
    expect(ring.recognize(text, 31_000)).toMatchObject({ id })
    expect(asked).toEqual([id, id])
    expect(ring.recognize(text, 599_999)).toMatchObject({ id })
    expect(ring.recognize(text, 600_000)).toBeUndefined()
    expect(ring.recognize(make().text, 1)).toBeUndefined()
  })

  it("refuses at the instant at which a key expires, without asking", () => {
    const { ring } = ringOf()
    const { credential, id, text } = make({ leftMs: 1000 })
    ring.put(credential, 500)
    expect(ring.recognize(text, 1499)).toMatchObject({ id })
    expect(ring.recognize(text, 1500)).toBe("wrong")
    const ended = make({ ended: true })
    ring.put(ended.credential, 0)
    expect(ring.recognize(ended.text, 0)).toBe("wrong")
  })

  it("refuses another secret of a key that it knows, and neither asks nor forgets for it", () => {
    const { asked, ring } = ringOf()
    const one = make()
    const other = make()
    // A whole key with its checksum, but the secret that is stored under its id is another one.
    const mixed = make({ hash: other.credential.hash })
    ring.put(mixed.credential, 0)
    for (let n = 0; n < 3; n++) expect(ring.recognize(mixed.text, 25_000)).toBe("wrong")
    ring.put(one.credential, 0)
    expect(ring.recognize(one.text, 0)).toMatchObject({ id: one.id })
    expect(ring.recognize(guess(one.text), 25_000)).toBe("wrong")
    expect(asked).toEqual([])
    expect(ring.recognize(one.text, 25_000)).toMatchObject({ id: one.id })
  })

  it("remembers for a while that there is no such key, and how many of them is bounded", () => {
    const { ring } = ringOf()
    const { id, text } = make()
    ring.absent(id, 0)
    expect(ring.recognize(text, 4999)).toBe("wrong")
    expect(ring.recognize(text, 5000)).toBeUndefined()
    ring.absent(id, 5000)
    for (let n = 0; n < 1023; n++) ring.absent(`${n}`, 5000)
    expect(ring.recognize(text, 5001)).toBe("wrong")
    ring.absent("one more", 5000)
    expect(ring.recognize(text, 5001)).toBeUndefined()
  })

  it("ids that do not exist push out no key", () => {
    const { ring } = ringOf(2)
    const kept = [make(), make()]
    for (const { credential } of kept) ring.put(credential, 0)
    for (let n = 0; n < 5000; n++) ring.absent(`${n}`, 0)
    for (const { id, text } of kept) expect(ring.recognize(text, 1)).toMatchObject({ id })
  })

  it("a key that was changed is asked for again", () => {
    const { ring } = ringOf()
    const { credential, id, text } = make()
    ring.put(credential, 0)
    ring.forget(id)
    ring.forget(id)
    expect(ring.recognize(text, 0)).toBeUndefined()
    expect(ring.quota.inUse).toBe(0)
  })

  it.prop(
    "never holds more keys than it may, and keeps those in use before those that are not",
    { steps: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))) },
    ({ steps }) => {
      const { ring } = ringOf(4)
      const keys = Array.from({ length: 10 }, () => make())
      const favourite = make()
      ring.put(favourite.credential, 0)
      for (const step of steps) {
        // In use between any two others.
        expect(ring.recognize(favourite.text, 0)).toMatchObject({ id: favourite.id })
        ring.put(keys[step]!.credential, 0)
        expect(ring.quota.inUse).toBeLessThanOrEqual(4)
      }
      const known = [favourite, ...keys]
        .filter(({ text }) => typeof ring.recognize(text, 0) === "object")
      expect(known.length).toBe(ring.quota.inUse)
    },
  )

  it("shows nobody's secret to whoever looks into it", () => {
    const { ring } = ringOf()
    const { credential, text } = make()
    ring.put(credential, 0)
    ring.recognize(text, 0)
    const shown = Deno.inspect(ring, { depth: 10, showHidden: true }) + JSON.stringify(ring)
    expect(shown).toContain(credential.key.id)
    expect(shown).not.toContain(text.slice(22, 65))
  })
})
