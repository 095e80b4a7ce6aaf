import { describe, expect, it } from "@effect/vitest"
import { random } from "../support/random.ts"
import { niceStep, plot } from "./svg.ts"

/** Whether every tag is closed in order, every attribute quoted, and every `&` an entity. */
const wellFormed = (text: string): string | undefined => {
  const open: Array<string> = []
  const tag = /<(\/?)([a-zA-Z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/y
  let at = 0
  while (at < text.length) {
    if (text[at] !== "<") {
      const end = text.indexOf("<", at) < 0 ? text.length : text.indexOf("<", at)
      const chars = text.slice(at, end)
      if (/&(?!(amp|lt|gt|quot);)/.test(chars)) return `a bare & in ${chars}`
      if (/NaN|undefined|Infinity/.test(chars)) return `${chars} among the text`
      at = end
      continue
    }
    tag.lastIndex = at
    const found = tag.exec(text)
    if (found === null) return `no tag: ${text.slice(at, at + 80)}`
    if (/NaN|undefined|Infinity|&(?!(amp|lt|gt|quot);)/.test(found[0])) return found[0]
    if (found[1] === "/") {
      if (open.pop() !== found[2]) return `</${found[2]}> closes nothing`
    } else if (found[4] !== "/") open.push(found[2]!)
    at = tag.lastIndex
  }
  return open.length === 0 ? undefined : `${open} left open`
}

describe("a plot", () => {
  it("is well-formed whatever it shows", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const next = random(seed)
      const values = () =>
        Array.from(
          { length: Math.floor(next() * 40) },
          () => next() < 0.2 ? null : next() < 0.2 ? 0 : next() * 10 ** Math.floor(next() * 6),
        )
      const kinds = ["line", "area", "dashed", "stack"] as const
      const svg = plot(
        'a <b> & "c"',
        Array.from({ length: 1 + Math.floor(next() * 4) }, () => ({
          title: "5 > 4 & 3 < 4",
          unit: '"1/s"',
          stepSeconds: 0.5,
          marks: [{ atSeconds: 1, name: "<now>" }],
          curves: kinds.map((kind) => ({
            name: `${kind}&`,
            ink: "good" as const,
            kind,
            values: values(),
          })),
        })),
        { columns: 1 + Math.floor(next() * 3) },
      )
      expect(wellFormed(svg), `seed ${seed}`).toBeUndefined()
    }
  })

  it("has colours for light and for dark pages, and refers to nothing outside", () => {
    const svg = plot("t", [{ title: "t", unit: "u", stepSeconds: 1, curves: [] }])
    expect(svg).toContain("prefers-color-scheme: dark")
    expect(svg.replace("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:|<script|href/)
  })

  it("puts ticks at 1, 2 or 5 times a power of ten", () => {
    expect([0.7, 1, 1.2, 3, 7, 11, 480].map(niceStep)).toEqual([1, 1, 2, 5, 10, 20, 500])
  })
})
