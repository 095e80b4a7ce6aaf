import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { isRefusal } from "../../src/bounded/Refused.ts"
import { type Answer, Waiter, WaitingRoom } from "../../src/edge/waitingroom.ts"

const nothing: Answer = Effect.undefined

const rooms = (places: number) => {
  const room = new WaitingRoom(places)
  const answered: Array<string> = []
  const enter = (id: string, peer: string) =>
    room.enter(id, peer, false, (answer) => answered.push(answer === nothing ? id : `${id}: no`))
  const take = (most: number) => {
    const ids = new Set<string>()
    room.take(ids, most)
    return Array.from(ids)
  }
  return { answered, enter, room, take }
}

describe("WaitingRoom", () => {
  it("lets networks take turns, however much each asks for", () => {
    const { enter, take } = rooms(100)
    for (const id of ["a1", "a2", "a3", "a4"]) enter(id, "a")
    enter("b1", "b")
    enter("c1", "c")
    enter("c2", "c")
    expect(take(4)).toEqual(["a1", "b1", "c1", "a2"])
    expect(take(4)).toEqual(["c2", "a3", "a4"])
    expect(take(4)).toEqual([])
  })

  it("asks once for what several wait for, and answers all of them", () => {
    const { answered, enter, room, take } = rooms(100)
    enter("x", "a")
    enter("x", "a")
    enter("y", "a")
    enter("x", "b")
    expect(take(10)).toEqual(["x", "y"])
    expect(room.pending).toBe(false)
    room.answer("x", nothing)
    expect(answered).toEqual(["x", "x", "x"])
    expect(room.quota.inUse).toBe(1)
    room.again("y")
    room.again("x")
    expect(take(10)).toEqual(["y"])
  })

  it("lets one who is answered send away another who waits for the same", () => {
    const room = new WaitingRoom(4)
    const answered: Array<string> = []
    const others: Array<Waiter> = []
    room.enter("x", "a", false, () => {
      answered.push("first")
      for (const other of others) room.leave(other)
    })
    const second = room.enter("x", "a", false, () => answered.push("second"))
    if (second instanceof Waiter) others.push(second)
    expect(others.length).toBe(1)
    room.answer("x", nothing)
    expect(answered).toEqual(["first"])
    expect(room.quota.inUse).toBe(0)
    expect(room.pending).toBe(false)
  })

  it("gives the place of the youngest of the greatest network to one that has less", () => {
    const { answered, enter, room } = rooms(4)
    for (const id of ["a1", "a2", "a3", "a4"]) enter(id, "a")
    expect(isRefusal(enter("a5", "a"))).toBe(true)
    enter("b1", "b")
    enter("c1", "c")
    expect(answered).toEqual(["a4: no", "a3: no"])
    // One more would have as many as the one that it sends away.
    expect(isRefusal(enter("b2", "b"))).toBe(true)
    expect(isRefusal(enter("a6", "a"))).toBe(true)
    expect(room.quota.inUse).toBe(4)
    expect(room.quota.stats(0).refused).toMatchObject({ QueueFull: 3, Displaced: 2 })
  })

  it.prop(
    "keeps count, and asks for exactly what somebody waits for",
    {
      steps: Schema.Array(Schema.Struct({
        what: Schema.Literals(["enter", "enter", "leave", "take", "answer"]),
        n: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })),
        peer: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
      })),
    },
    ({ steps }) => {
      const { room } = rooms(5)
      const asked = new Set<string>()
      const live = new Map<symbol, Waiter>()
      for (const { n, peer, what } of steps) {
        const id = `${n}`
        if (what === "enter") {
          const own = Symbol()
          const waiter = room.enter(id, `${peer}`, asked.has(id), () => live.delete(own))
          if (waiter instanceof Waiter) live.set(own, waiter)
        } else if (what === "leave") {
          const [first] = live
          if (first !== undefined) {
            live.delete(first[0])
            room.leave(first[1])
            room.leave(first[1])
          }
        } else if (what === "take") room.take(asked, asked.size + 1)
        else {
          room.answer(id, nothing)
          asked.delete(id)
        }
        const ids = new Set(Array.from(live.values(), (waiter) => waiter.id))
        expect(room.quota.inUse).toBe(live.size)
        expect(room.quota.inUse).toBeLessThanOrEqual(5)
        expect(new Set(room.ids)).toEqual(ids)
        expect(room.unasked).toEqual(new Set([...ids].filter((it) => !asked.has(it))))
        expect(room.pending).toBe(room.unasked.size > 0)
      }
    },
  )
})
