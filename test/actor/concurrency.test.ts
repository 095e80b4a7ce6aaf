import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { type BoxRef, fork, gate, inside, settle, watched, world } from "./support.ts"

/** Counts how many run at once. */
const meter = () => {
  let running = 0
  let most = 0
  const work = Effect.gen(function* () {
    running++
    most = Math.max(most, running)
    yield* Effect.sleep(10)
    running--
  })
  return { work, most: () => most }
}

const many = (box: BoxRef, n: number, work: Effect.Effect<void>) =>
  Effect.forEach(Array.from({ length: n }), () => box.tell.Run(work), { discard: true })

describe("concurrency", () => {
  it.effect("is one by default: the state has one owner at a time", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const { most, work } = meter()
        yield* many(a, 5, work)
        yield* settle
        yield* TestClock.adjust(49)
        expect(yield* a.account).toMatchObject({ running: 1, queued: 0 })
        yield* TestClock.adjust(1)
        yield* settle
        expect(most()).toBe(1)
        expect(yield* a.account).toMatchObject({ running: 0, ended: { handled: 5 } })
      })
    ))

  it.effect("of n runs n messages at once, started in their order", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { concurrency: 3 })
        const { most, work } = meter()
        for (let i = 0; i < 7; i++) yield* a.tell.Run(Effect.andThen(trace.add(`${i}`), work))
        yield* settle
        expect(yield* a.account).toMatchObject({ running: 3, queued: 4 })
        for (let i = 0; i < 3; i++) yield* TestClock.adjust(10)
        expect(most()).toBe(3)
        expect(trace.steps.join("")).toBe("0123456")
      })
    ))

  it.effect("counts what the actor does for itself: a timer waits for a place", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const go = gate()
        yield* a.ask.Run(inside((context) =>
          context.timer(
            "t",
            { after: 10 },
            Effect.andThen(trace.add("timer"), Effect.andThen(go.wait, trace.add("timer ends"))),
          )
        ))
        const busy = yield* fork(
          a.ask.Run(Effect.andThen(Effect.sleep(20), trace.add("busy ends"))),
        )
        yield* TestClock.adjust(10)
        expect(trace.steps).toEqual([])
        yield* TestClock.adjust(10)
        yield* a.tell.Note("after")
        yield* settle
        expect(trace.steps).toEqual(["busy ends", "timer"])
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["busy ends", "timer", "timer ends", "after"])
        expect(busy.pollUnsafe()).toBeDefined()
      })
    ))
})

describe("a reentrant message", () => {
  it.effect("runs while another is suspended, and overtakes those that may not", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const go = gate()
        yield* a.tell.Run(Effect.andThen(go.wait, trace.add("first")))
        yield* a.tell.Note("second")
        yield* a.tell.Now(trace.add("reentrant"))
        yield* settle
        expect(trace.steps).toEqual(["reentrant"])
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["reentrant", "first", "second"])
      })
    ))

  it.effect("keeps its order with the others while nothing runs", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* a.tell.Note("1")
        yield* a.tell.Now(trace.add("2"))
        yield* a.tell.Note("3")
        yield* settle
        expect(trace.steps).toEqual(["1", "2", "3"])
      })
    ))

  it.effect("is cancelled alone", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const run = yield* watched(a.ask.Run(Effect.andThen(Effect.sleep(10), trace.add("run"))))
        const now = yield* watched(a.ask.Now(trace.never("now"), { timeout: 5 }))
        yield* TestClock.adjust(10)
        expect([run(), now()]).toEqual(["ok", "AskTimeout"])
        expect(trace.steps).toEqual(["now: deadline exceeded", "run"])
      })
    ))
})

describe("an uninterruptible message", () => {
  it.effect("runs to its end when the actor stops, and its asker gets the answer", () =>
    world(({ box, letters }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { grace: "1 second" })
        const firm = yield* watched(a.ask.Firm(Effect.as(Effect.sleep(1500), "done")))
        yield* settle
        const stopping = yield* watched(a.stop)
        yield* TestClock.adjust(1000)
        expect([firm(), stopping()]).toEqual(["waits", "waits"])
        yield* TestClock.adjust(500)
        yield* settle
        expect([firm(), stopping()]).toEqual(["ok", "ok"])
        expect(letters).toEqual([])
      })
    ))

  it.effect("ends for its asker at its timeout, but goes on", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const firm = yield* watched(
          a.ask.Firm(Effect.andThen(Effect.sleep(100), trace.add("done")), { timeout: 50 }),
        )
        yield* TestClock.adjust(50)
        expect(firm()).toBe("AskTimeout")
        expect(trace.steps).toEqual([])
        yield* TestClock.adjust(50)
        expect(trace.steps).toEqual(["done"])
        expect(letters.map((letter) => letter.reason)).toEqual(["late-reply"])
      })
    ))
})

describe("order", () => {
  // M9: from one sender, first in, first out; also over tell, ask and offer.
  it.effect("of one sender's messages is kept, however they were sent", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const go = gate()
        yield* a.tell.Run(go.wait)
        yield* settle
        const one = yield* watched(a.ask.Note("1"))
        yield* a.offer.Note("2")
        yield* a.tell.Note("3")
        const four = yield* watched(a.ask.Note("4"))
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["1", "2", "3", "4"])
        expect([one(), four()]).toEqual(["ok", "ok"])
        yield* a.tell.Note("5")
        // An ask does not overtake the tell before it.
        expect(yield* a.ask.Note("6")).toBe("6")
        expect(trace.steps.slice(4)).toEqual(["5", "6"])
      })
    ))

  it.effect("of ten thousand tells is kept, and others get their turn in between", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { mailbox: { capacity: 20_000 } })
        const seen: Array<number> = []
        let other = -1
        for (let i = 0; i < 10_000; i++) yield* box("a").tell.Run(Effect.sync(() => seen.push(i)))
        yield* box("b").tell.Run(Effect.sync(() => {
          other = seen.length
        }))
        for (let i = 0; i < 500 && seen.length < 10_000; i++) yield* Effect.yieldNow
        expect(seen).toEqual(Array.from({ length: 10_000 }, (_, i) => i))
        expect(other).toBeLessThan(1000)
      })
    ))
})
