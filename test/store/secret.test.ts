import { expect, it } from "@effect/vitest"
import { Redacted } from "effect"
import { hashOf, idOf, issue, matches, same, secretOf } from "../../src/store/secret.ts"

it("a key of which one letter is wrong is told without a look-up", () => {
  for (let n = 0; n < 20; n++) {
    const { hash, id, key } = issue("weir")
    const text = Redacted.value(key)
    expect(idOf("weir", text)).toBe(id)
    expect(matches(hash, secretOf(text)!)).toBe(true)
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === "x" ? "y" : "x"
      const wrong = text.slice(0, at) + other + text.slice(at + 1)
      expect([wrong, idOf("weir", wrong) && secretOf(wrong)]).toEqual([wrong, undefined])
    }
  }
})

it("what has not the shape of a key has no id", () => {
  const text = Redacted.value(issue("weir").key)
  for (
    const wrong of ["", "weir_", text.slice(1), `${text}x`, ` ${text}`, text.replace("_", "-"), "é"]
  ) {
    expect(idOf("weir", wrong)).toBeUndefined()
  }
  expect(idOf("shop", text)).toBeUndefined()
})

it("ids and secrets never repeat, and use every letter alike", () => {
  const counts = new Map<string, number>()
  const seen = new Set<string>()
  for (let n = 0; n < 2000; n++) {
    const { id, key } = issue("weir")
    const secret = secretOf(Redacted.value(key))!
    seen.add(id).add(secret)
    for (const letter of secret) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  }
  expect(seen.size).toBe(4000)
  expect(counts.size).toBe(62)
  // 1,387 on average; the bounds are eight standard deviations away.
  for (const count of counts.values()) {
    expect(count).toBeGreaterThan(1090)
    expect(count).toBeLessThan(1690)
  }
})

it("compares whole texts", () => {
  for (const [one, other] of [["", "a"], ["a", ""], ["ab", "ac"], ["ab", "abc"], ["abc", "ab"]]) {
    expect(same(one!, other!)).toBe(false)
  }
  expect(same("abc", ["a", "bc"].join(""))).toBe(true)
  expect(hashOf("a").length).toBe(32)
})
