import { expect, it } from "@effect/vitest"
import { Context, Effect, Exit, type Fiber, Layer, Schema, Scope } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem } from "@weir/runtime"
import { random } from "../support/random.ts"
import { nothing, World } from "./conservation/world.ts"

const asks = 10_000

const Work = Rpc.make("Work", {
  payload: { id: Schema.Int, ms: Schema.Int },
  success: Schema.Int,
})
const Box = Actor.make("Box", [Work], { mailbox: { capacity: asks }, concurrency: 3 })

interface Fate {
  /** When its asker leaves; it may have its answer before. */
  readonly leavesAt: number
  fiber: Fiber.Fiber<number, Actor.AskFailure> | undefined
  started: number
  ended: "done" | "interrupted" | undefined
  /** How it stood when its asker left. */
  when: "queued" | "running" | "answered" | undefined
}

it(`${asks} asks that are aborted at random moments leave no handler running`, () => {
  const draw = random(7)
  const below = (n: number) => Math.floor(draw() * n)
  const world = new World(draw)
  const fates: Array<Fate> = Array.from({ length: asks }, () => ({
    leavesAt: below(3000),
    fiber: undefined,
    started: 0,
    ended: undefined,
    when: undefined,
  }))
  let running = 0
  const scope = Scope.makeUnsafe()
  const built = world.run(Layer.buildWithScope(
    Layer.provideMerge(
      Box.toLayer({
        Work: ({ payload: { id, ms } }) =>
          Effect.suspend(() => {
            fates[id]!.started++
            running++
            return Effect.onExit(Effect.as(Effect.sleep(ms), id), (exit) =>
              Effect.andThen(
                // Cleanup takes its time too.
                Effect.sleep(exit._tag === "Success" ? 0 : id % 4),
                Effect.sync(() => {
                  fates[id]!.ended = exit._tag === "Success" ? "done" : "interrupted"
                  running--
                }),
              ))
          }),
      }),
      ActorSystem.layer(),
    ),
    scope,
  )).pollUnsafe()
  if (built?._tag !== "Success") throw new Error("The layer was not built.")
  const context = Context.merge(world.context, built.value)
  const client = world.run(Effect.provideContext(Box.client, context)).pollUnsafe()
  if (client?._tag !== "Success") throw new Error("There is no client.")

  // 100 busy actors; 4 asks in each of 2,500 ms, each of which is aborted within the next 3,000 ms.
  const leave = new Map<number, Array<number>>()
  for (let now = 0; now < 14_000; now++) {
    for (let id = now * 4; now < 2500 && id < now * 4 + 4; id++) {
      const ref = client.value(String(below(100)))
      const ask = ref.ask.Work({ id, ms: 1 + below(600) }, { timeout: "1 hour" })
      fates[id]!.fiber = world.run(Effect.provideContext(ask, context))
      const at = now + fates[id]!.leavesAt
      leave.set(at, [...leave.get(at) ?? [], id])
    }
    for (const id of leave.get(now) ?? []) {
      const fate = fates[id]!
      const answered = fate.fiber!.pollUnsafe() !== undefined
      fate.when = answered ? "answered" : fate.started > 0 ? "running" : "queued"
      fate.fiber!.interruptUnsafe()
    }
    world.advance(1)
  }

  const account = { sent: 0, queued: 0, running: 0, handled: 0, cancelled: 0 }
  for (
    const { account: part } of built.value.pipe(
      Context.get(ActorSystem.ActorSystem),
      ({ unsafe }) => unsafe.infos(),
    )
  ) {
    account.sent += part.sent
    account.queued += part.queued
    account.running += part.running
    account.handled += part.ended.handled
    account.cancelled += part.ended.cancelled
  }
  const tally = { queued: 0, running: 0, answered: 0 }
  for (const [id, fate] of fates.entries()) {
    const exit = fate.fiber!.pollUnsafe()
    tally[fate.when!]++
    const { ended, started, when } = fate
    const seen = { id, when, started, ended, value: exit !== undefined && Exit.isSuccess(exit) }
    if (when === "queued") {
      expect(seen).toEqual({ id, when, started: 0, ended: undefined, value: false })
    } else if (when === "answered") {
      expect(seen).toEqual({ id, when, started: 1, ended: "done", value: true })
    } else expect(seen).toEqual({ id, when, started: 1, ended: "interrupted", value: false })
  }
  expect(running).toBe(0)
  expect(account).toEqual({
    sent: asks,
    queued: 0,
    running: 0,
    handled: tally.answered,
    cancelled: tally.queued + tally.running,
  })
  // All three happened often.
  for (const count of Object.values(tally)) expect(count).toBeGreaterThan(500)

  world.run(Scope.close(scope, Exit.void))
  world.advance(60_000)
  expect(world.leftovers()).toEqual(nothing)
})
