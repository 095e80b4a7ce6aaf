import { describe, expect, it } from "@effect/vitest"
import { Clock, Context, Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { timersOf } from "../../src/task/timers.ts"
import { random } from "./support.ts"

const timers = Effect.map(Clock.clockWith(Effect.succeed), timersOf)

describe("Timers", () => {
  it.effect("agree with a sorted list under random schedules, cancels and passing time", () =>
    Effect.gen(function* () {
      const all = yield* timers
      for (let seed = 1; seed <= 100; seed++) {
        const draw = random(seed)
        const fired: Array<number> = []
        const expected: Array<number> = []
        const made: Array<{ id: number; at: number; handle: ReturnType<typeof all.schedule> }> = []
        let live: typeof made = []
        const now = () => all.clock.currentTimeMillisUnsafe()
        const due = (until: number) => {
          const ready = live.filter(({ at }) => at <= until).sort((a, b) =>
            a.at - b.at || a.id - b.id
          )
          live = live.filter(({ at }) => at > until)
          expected.push(...ready.map(({ id }) => id))
        }
        for (let i = 0; i < 120; i++) {
          const action = draw(7)
          if (action < 4) {
            const id = made.length
            const at = now() + 1 + draw(50)
            const entry = { id, at, handle: all.schedule(at, () => fired.push(id)) }
            made.push(entry)
            live.push(entry)
          } else if (action < 6) {
            const entry = made[draw(Math.max(1, made.length))]
            if (entry === undefined) continue
            all.cancel(entry.handle)
            live = live.filter((other) => other !== entry)
          } else {
            yield* TestClock.adjust(draw(30))
            due(now())
          }
          expect({ seed, size: all.size }).toEqual({ seed, size: live.length })
          expect(all.asleep).toBe(live.length > 0)
        }
        yield* TestClock.adjust(1000)
        due(Infinity)
        expect({ seed, fired }).toEqual({ seed, fired: expected })
        expect(all.size).toBe(0)
        expect(all.asleep).toBe(false)
      }
    }))

  it.effect("fire at their instant, in order, the first scheduled first", () =>
    Effect.gen(function* () {
      const all = yield* timers
      const fired: Array<string> = []
      for (const [name, at] of [["c", 30], ["a", 10], ["b1", 20], ["b2", 20]] as const) {
        all.schedule(at, () => fired.push(`${name}@${all.clock.currentTimeMillisUnsafe()}`))
      }
      yield* TestClock.adjust(9)
      expect(fired).toEqual([])
      yield* TestClock.adjust(100)
      expect(fired).toEqual(["a@10", "b1@20", "b2@20", "c@30"])
    }))

  it("fire at their instant at the time of today too, where a nanosecond is rounded away", () => {
    const start = 1_790_000_000_000
    const nobody = Context.get(Context.empty(), Clock.Clock)
    let now = start
    const sleeps: Array<number> = []
    const wakes: Array<() => void> = []
    // Wakes when it is told to, and never by itself.
    const clock: Clock.Clock = Object.assign(Object.create(nobody), {
      currentTimeMillisUnsafe: () => now,
      sleep: (duration: Duration.Duration) =>
        Effect.callback<void>((resume) => {
          sleeps.push(Duration.toMillis(duration))
          wakes.push(() => resume(Effect.void))
        }),
    })
    const fired: Array<number> = []
    timersOf(clock).schedule(start + 50, () => fired.push(now - start))
    now = start + 50
    wakes.shift()!()
    expect({ fired, sleeps }).toEqual({ fired: [50], sleeps: [50] })
  })

  it.effect("fire at once what is due already", () =>
    Effect.gen(function* () {
      const all = yield* timers
      yield* TestClock.adjust(100)
      const fired: Array<number> = []
      all.schedule(50, () => fired.push(50))
      all.schedule(100, () => fired.push(100))
      expect(fired).toEqual([50, 100])
      expect(all.asleep).toBe(false)
    }))

  it.effect("may schedule and cancel from within a callback", () =>
    Effect.gen(function* () {
      const all = yield* timers
      const fired: Array<string> = []
      const doomed = all.schedule(10, () => fired.push("doomed"))
      all.cancel(doomed)
      const victim = all.schedule(10, () => fired.push("victim"))
      all.schedule(5, () => {
        fired.push("first")
        all.cancel(victim)
        all.schedule(7, () => fired.push("second"))
        all.schedule(5, () => fired.push("same instant"))
      })
      yield* TestClock.adjust(20)
      expect(fired).toEqual(["first", "same instant", "second"])
      expect(all.size).toBe(0)
    }))

  it.effect("survive a callback that throws", () =>
    Effect.gen(function* () {
      const all = yield* timers
      const fired: Array<string> = []
      all.schedule(10, () => {
        throw new Error("broken callback")
      })
      all.schedule(10, () => fired.push("next"))
      all.schedule(20, () => fired.push("later"))
      yield* TestClock.adjust(20)
      expect(fired).toEqual(["next", "later"])
      expect(all.size).toBe(0)
    }))

  it.effect("move O(log n) entries for a cancel in a large heap", () =>
    Effect.gen(function* () {
      const all = yield* timers
      const handles = Array.from({ length: 65_536 }, (_, i) => all.schedule(1000 + i, () => {}))
      const before = handles.map((handle) => handle.index)
      all.cancel(handles[1]!)
      const moved = handles.filter((handle, i) => handle.index !== before[i]).length
      expect(moved).toBeLessThanOrEqual(18)
      for (const handle of handles) all.cancel(handle)
      expect(all.asleep).toBe(false)
    }))

  it.live("on the platform's clock keep their sleeper to the end of the turn, and no longer", () =>
    Effect.gen(function* () {
      const all = yield* timers
      const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
      const fired: Array<string> = []
      const far = all.clock.currentTimeMillisUnsafe() + 60_000
      all.cancel(all.schedule(far, () => fired.push("cancelled")))
      expect({ size: all.size, asleep: all.asleep }).toEqual({ size: 0, asleep: true })
      const next = all.schedule(far + 1, () => fired.push("cancelled"))
      yield* turn
      expect({ size: all.size, asleep: all.asleep }).toEqual({ size: 1, asleep: true })
      all.cancel(next)
      yield* Effect.repeat(turn, { until: () => !all.asleep, times: 10 })
      expect({ size: all.size, asleep: all.asleep }).toEqual({ size: 0, asleep: false })
      // A sleeper that was kept does not delay what is due earlier.
      all.cancel(all.schedule(far, () => fired.push("cancelled")))
      yield* Effect.callback<void>((resume) => {
        all.schedule(all.clock.currentTimeMillisUnsafe() + 1, () => resume(Effect.void))
      })
      expect(fired).toEqual([])
    }))
})
