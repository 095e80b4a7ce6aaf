import { describe, expect, it } from "@effect/vitest"
import { VirtualClock } from "@weir/runtime"
import { Effect } from "effect"
import { capacity, offer, virtualSpan } from "../../../examples/lab/load.ts"
import type { Results } from "../../../examples/lab/results.ts"
import { habits, storm, virtualCourse } from "../../../examples/lab/storm.ts"
import { loadTable } from "../../../examples/lab/table.ts"
import { defaults } from "../../../examples/lab/variants.ts"
import { virtual } from "../../../examples/lab/worlds.ts"

const virtually = <A>(effect: Effect.Effect<A>): Promise<A> =>
  Effect.runPromise(Effect.provide(effect, VirtualClock.layer))

const offered = (times: number, admission: boolean) =>
  virtually(offer(virtual, defaults, { times, admission, span: virtualSpan }))

describe("offered load in virtual time", () => {
  it("is answered by both below the capacity", async () => {
    for (const admission of [false, true]) {
      const found = await offered(0.5, admission)
      expect(found.offered).toBeGreaterThan(50)
      expect(found).toMatchObject({ ok: found.offered, refused: 0, timedOut: 0, wasted: 0 })
    }
  })

  it("is answered at the capacity with admission, and not at all without, above it", async () => {
    const [bare, kept] = [await offered(3, false), await offered(3, true)]
    expect(bare.offered).toBe(kept.offered)
    expect(bare).toMatchObject({ ok: 0, refused: 0, timedOut: bare.offered, wasted: 1 })
    expect(kept).toMatchObject({ timedOut: 0, wasted: 0, refused: kept.offered - kept.ok })
    expect(kept.perSecond).toBeGreaterThan(0.95 * capacity(defaults))
  })

  it("is the same for the same seed, and another for another one", async () => {
    const one = await offered(1, true)
    expect(await offered(1, true)).toEqual(one)
    const other = await virtually(
      offer(virtual, { ...defaults, seed: 2 }, { times: 1, admission: true, span: virtualSpan }),
    )
    expect(other.offered).not.toBe(one.offered)
  })
})

describe("the table of offered loads", () => {
  it("has columns for real time only where that has run, and a dash for a load that has not", async () => {
    const loads = await Promise.all(
      [0.5, 2].flatMap((times) => [false, true].map((admission) => offered(times, admission))),
    )
    const table = (real: Results["loads"]["real"]) =>
      loadTable({
        parameters: defaults,
        loads: { virtual: loads, real },
      } as unknown as Results)
    const bare = table([])
    expect(bare.head).toHaveLength(6)
    expect(bare.rows.map((row) => row.length)).toEqual([6, 6])
    expect(bare.rows.flat()).not.toContain("–")
    const both = table(loads.slice(0, 2))
    expect(both.head.filter((it) => it === "real")).toHaveLength(2)
    expect(both.rows.map((row) => row.filter((it) => it === "–").length)).toEqual([0, 2])
  })
})

describe("the retry storm in virtual time", () => {
  it("outlives its cause without a budget, and not with one", async () => {
    const found = []
    for (const habit of habits) {
      found.push(await virtually(storm(virtual, defaults, habit, virtualCourse)))
    }
    const [naive, budget, both] = found as [typeof found[0], typeof found[0], typeof found[0]]
    expect(new Set(found.map(({ calls }) => calls)).size).toBe(1)
    expect(naive!.atTheEnd).toBeLessThan(0.5)
    expect(naive!.amplification).toBeGreaterThan(2.5)
    expect([budget!.atTheEnd, both!.atTheEnd]).toEqual([1, 1])
    expect(budget!.amplification).toBeLessThan(1.2)
    expect(both!.amplification).toBeLessThan(1.05)
  })
})
