import { describe, expect, it } from "@effect/vitest"
import { CancelReason, Deadline, Task, type TaskTree } from "@weir/runtime"
import { Effect, Fiber, Logger, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { clean, fork, random } from "./support.ts"

interface Ledger {
  acquired: number
  /** Releases per resource: each must be 1 at the end. */
  readonly released: Map<number, number>
  /** Releases that came before one acquired later in the same scope. */
  disorder: number
}

type Work = Effect.Effect<void, unknown, Scope.Scope>

/** A random task tree: resources, children, groups, races, deadlines, failures, slow cleanups. */
const grow = (draw: (below: number) => number, ledger: Ledger, depth: number): Work =>
  Effect.gen(function* () {
    const open: Array<number> = []
    const steps = 1 + draw(4)
    for (let i = 0; i < steps; i++) {
      const below = () => grow(draw, ledger, depth - 1)
      switch (depth === 0 ? draw(6) : draw(13)) {
        case 0:
        case 1: {
          // Slow cleanup, sometimes beyond the budget, never for ever.
          const slow = [0, 0, 0, 20, 300, 5000][draw(6)]!
          yield* Effect.acquireRelease(
            Effect.sync(() => {
              const id = ledger.acquired++
              open.push(id)
              return id
            }),
            (id) =>
              Effect.gen(function* () {
                ledger.released.set(id, (ledger.released.get(id) ?? 0) + 1)
                if (open.pop() !== id) ledger.disorder++
                if (slow > 0) yield* Effect.sleep(slow)
              }),
          )
          break
        }
        case 2:
          yield* Effect.sleep(draw(200))
          break
        case 3:
          yield* Effect.yieldNow
          break
        case 4: {
          const how = draw(12)
          if (how === 0) yield* Effect.fail("failure")
          if (how === 1) yield* Effect.die("defect")
          if (how === 2) yield* Effect.never
          break
        }
        case 5:
          yield* Effect.ignoreCause(Deadline.within(draw(100))(Effect.sleep(draw(200))))
          break
        case 6:
          yield* Effect.exit(Task.run("run", below(), options(draw)))
          break
        case 7:
          yield* Task.run("run", below(), options(draw))
          break
        case 8:
          yield* Task.start("start", below(), options(draw))
          break
        case 9: {
          const task = yield* Task.start("start", below(), options(draw))
          yield* Effect.sleep(draw(100))
          yield* Effect.ignoreCause(task.cancel(CancelReason.Requested("test")))
          break
        }
        case 10:
          yield* Effect.exit(Task.group((group: Task.Group<unknown>) =>
            Effect.gen(function* () {
              const count = draw(4)
              for (let i = 0; i < count; i++) {
                yield* group.start("member", below(), options(draw))
              }
              if (draw(3) === 0) yield* below()
            })
          ))
          break
        case 11:
          yield* Effect.exit(Task.race({ a: below(), b: below(), c: Effect.sleep(draw(300)) }))
          break
        case 12:
          yield* Effect.ignoreCause(Effect.all([below(), below()], { concurrency: 2 }))
          break
      }
    }
  })

const options = (draw: (below: number) => number): Task.Options => ({
  ...(draw(3) === 0 ? { deadline: draw(500) } : {}),
  cleanup: 50 + draw(400),
})

describe("random trees of tasks", () => {
  it.effect("leave nothing behind: no task, no timer, every release exactly once", () =>
    Effect.gen(function* () {
      let tasks = 0
      let resources = 0
      let abandoned = 0
      for (let seed = 1; seed <= 400; seed++) {
        const draw = random(seed)
        const ledger: Ledger = { acquired: 0, released: new Map(), disorder: 0 }
        yield* clean((tree) =>
          Effect.gen(function* () {
            const tops = yield* Effect.forEach(
              Array.from({ length: 3 }),
              () => fork(Effect.exit(Task.run("top", grow(draw, ledger, 3), options(draw)))),
            )
            for (let i = 0; i < 8; i++) {
              yield* TestClock.adjust(draw(150))
              const live = [...tree.unsafe.live]
              switch (draw(4)) {
                case 0:
                  live[draw(Math.max(1, live.length))]?.cancel(CancelReason.Requested("test"))
                  break
                case 1:
                  yield* fork(Fiber.interrupt(tops[draw(3)]!))
                  break
                case 2:
                  yield* tree.dump
                  break
              }
            }
            yield* tree.cancelAll(CancelReason.Shutdown)
            yield* TestClock.adjust("10 minutes")
            yield* Effect.forEach(tops, Fiber.await)
            const counts: TaskTree.TaskCounts = yield* tree.counts
            tasks += Object.values(counts.started).reduce((a, b) => a + b, 0)
            abandoned += counts.abandoned
          })
        )
        resources += ledger.acquired
        const once = [...ledger.released.values()].filter((times) => times === 1).length
        expect({ seed, once, disorder: ledger.disorder })
          .toEqual({ seed, once: ledger.acquired, disorder: 0 })
        expect({ seed, released: ledger.released.size }).toEqual({
          seed,
          released: ledger.acquired,
        })
      }
      // The trees were worth it.
      expect(tasks).toBeGreaterThan(2000)
      expect(resources).toBeGreaterThan(1000)
      expect(abandoned).toBeGreaterThan(20)
    }).pipe(Effect.provide(Logger.layer([]))))
})
