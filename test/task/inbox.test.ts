import { expect, it } from "@effect/vitest"
import { Effect, Scheduler } from "effect"
import { Inbox } from "../../src/task/inbox.ts"
import { fork } from "./support.ts"

it.effect("wakes its reader wherever that has given way to others", () =>
  Effect.gen(function* () {
    const parent = yield* Scheduler.Scheduler
    for (let step = 1; step < 20; step++) {
      let steps = 0
      const scheduler: Scheduler.Scheduler = {
        executionMode: "async",
        shouldYield: () => ++steps === step,
        makeDispatcher: () => parent.makeDispatcher(),
      }
      const inbox = new Inbox<string>()
      let taken: string | undefined
      yield* fork(
        Effect.map(inbox.take, (item) => {
          taken = item
        }).pipe(Effect.provideService(Scheduler.Scheduler, scheduler)),
      )
      inbox.push("item")
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      expect({ step, taken }).toEqual({ step, taken: "item" })
    }
  }))
