import { Duration, Effect } from "effect"
import type { Admission } from "../admission/Admission.ts"
import type { Server } from "../edge/Server.ts"
import * as CancelReason from "../task/CancelReason.ts"
import * as Shutdown from "../task/Shutdown.ts"
import type { TaskTree } from "../task/TaskTree.ts"

/** What a drain acts on. */
export interface Parts {
  readonly server: Server
  readonly admission: Pick<Admission, "close">
  readonly tree: TaskTree
  /** Turns readiness off. */
  readonly notReady: () => void
}

/** How long each step may take, in milliseconds. */
export interface Budget {
  readonly readinessDelayMs: number
  readonly graceMs: number
  readonly cleanupMs: number
}

/** What became of the work that was there when the drain began. */
export interface DrainReport {
  readonly inFlight: number
  readonly cancelled: number
  readonly abandoned: number
}

/**
 * Readiness off → accept no more → what was admitted finishes → the rest is cancelled with
 * `Shutdown` → its cleanup is awaited. Never longer than the three budgets together.
 *
 * Background tasks are left alone: a poller has no end of its own, requests in flight may need it, and
 * the scope that started it ends it after the drain.
 *
 * Admitted work that still queues is not refused: it holds tickets, which promised it a place before
 * its deadline. What cannot finish within the grace is cancelled at its end.
 */
export const drain = (parts: Parts, budget: Budget): Effect.Effect<DrainReport> =>
  Effect.gen(function* () {
    parts.notReady()
    // Balancers need time to see it; until then requests are still welcome.
    if (budget.readinessDelayMs > 0) yield* Effect.sleep(budget.readinessDelayMs)
    parts.admission.close()
    const work = () => Array.from(parts.tree.unsafe.live).filter((task) => !task.background)
    const inFlight = work().length
    const quiet = Effect.all([parts.server.drain, parts.tree.awaitIdle], {
      concurrency: "unbounded",
      discard: true,
    })
    if (yield* endsWithin("drain: in flight", quiet, budget.graceMs)) {
      return { inFlight, cancelled: 0, abandoned: 0 }
    }
    const stragglers = work()
    yield* Effect.logWarning(
      `The drain's ${Duration.format(Duration.millis(budget.graceMs))} are over; cancelling ` +
        `${stragglers.length} ${stragglers.length === 1 ? "task" : "tasks"}: ` +
        names(stragglers.map((task) => task.name)),
    )
    const cancelled = stragglers.filter((task) => task.cancel(CancelReason.Shutdown)).length
    yield* endsWithin("drain: cleanup", quiet, budget.cleanupMs)
    const left = work()
    if (left.length > 0) {
      yield* Effect.logWarning(
        `${left.length} did not clean up in time: ${names(left.map((task) => task.name))}`,
      )
    }
    return { inFlight, cancelled, abandoned: left.length }
  })

/** One phase of the stop: whether it ended in time. It never takes longer, whatever it does. */
export const endsWithin = (
  name: string,
  effect: Effect.Effect<void>,
  ms: number,
): Effect.Effect<boolean> =>
  Effect.flatMap(
    Shutdown.run([{ name, budget: ms, run: effect }], { total: ms, cleanup: 0 }),
    ([phase]) =>
      phase!.overran || phase!.error === undefined
        ? Effect.succeed(!phase!.overran)
        : Effect.as(Effect.logWarning(`A step of the shutdown failed: ${phase!.error}`), true),
  )

const names = (all: ReadonlyArray<string>): string => {
  const counts = new Map<string, number>()
  for (const name of all) counts.set(name, (counts.get(name) ?? 0) + 1)
  return Array.from(counts, ([name, n]) => n === 1 ? name : `${name} × ${n}`).slice(0, 10)
    .join(", ")
}
