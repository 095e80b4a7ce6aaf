import { Deferred, Effect, Fiber, Layer, Logger, Metric, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "@effect/vitest"
import * as Actor from "../../src/actor/Actor.ts"
import { ActorContext } from "../../src/actor/ActorContext.ts"
import * as ActorSystem from "../../src/actor/ActorSystem.ts"
import * as Saturation from "../../src/bounded/Saturation.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"
import { parse, valueOf } from "../support/prometheus.ts"

const Work = Rpc.make("Work", { payload: { ms: Schema.Number } })
const Crash = Rpc.make("Crash")
const Refuse = Rpc.make("Refuse", { error: Schema.String })
const Later = Rpc.make("Later")
const protocol = [Work, Crash, Refuse, Later]

const Keyed = Actor.make("Keyed", protocol, { idle: "1 minute", mailbox: { capacity: 100 } })
const One = Actor.single("One", protocol)
const Child = Actor.single("Child", protocol)
const Parent = Actor.single("Parent", [Later])

const work = {
  Work: ({ payload }: { readonly payload: { readonly ms: number } }) =>
    payload.ms === 0 ? Effect.void : Effect.sleep(payload.ms),
  Crash: () => Effect.die("boom"),
  Refuse: () => Effect.fail("no"),
  Later: () => Effect.flatMap(ActorContext, ({ stash }) => stash),
}

const setUp = Effect.gen(function* () {
  const metrics = Metrics.makeUnsafe()
  const registry = Saturation.makeUnsafe()
  const child = yield* Deferred.make<Actor.Ref<typeof protocol[number]>>()
  const context = yield* Layer.build(
    Layer.mergeAll(
      Keyed.toLayer(work),
      One.toLayer(work),
      Parent.toLayer(Effect.gen(function* () {
        const { spawn } = yield* ActorContext
        yield* Deferred.succeed(child, yield* spawn(Child, "child", work))
        return Parent.of({ Later: () => Effect.void })
      })),
    ).pipe(
      Layer.provideMerge(ActorSystem.layer()),
      Layer.provide(Logger.layer([])),
      Layer.provide(Layer.succeed(Saturation.Saturation, registry)),
      Layer.provide(Layer.succeed(Metrics.Metrics, metrics)),
    ),
  )
  const page = Metrics.render.pipe(
    Effect.provideService(Metrics.Metrics, metrics),
    Effect.provideService(Metric.MetricRegistry, new Map()),
  )
  return {
    page,
    registry,
    child: yield* Deferred.await(child),
    keyed: yield* Effect.provide(Keyed.client, context),
    one: yield* Effect.provide(One.client, context),
    system: yield* Effect.provide(ActorSystem.ActorSystem, context),
  }
})

const turn = TestClock.adjust(0)

describe("the metrics of actors", () => {
  it.effect("count messages by kind and outcome, for all keys together", () =>
    Effect.gen(function* () {
      const { keyed, one, page } = yield* setUp
      for (let i = 0; i < 5; i++) yield* keyed(`key ${i}`).ask.Work({ ms: 0 })
      for (let i = 0; i < 3; i++) yield* keyed(`key ${i}`).tell.Refuse()
      yield* Effect.exit(one.ask.Crash())
      yield* turn
      const text = yield* page
      const count = (actor: string, outcome: string) =>
        valueOf(text, "weir_actor_messages_total", { actor, outcome })
      expect(count("Keyed", "handled")).toBe(5)
      expect(count("Keyed", "failed")).toBe(3)
      expect(count("One", "failed")).toBe(1)
      expect(count("One", "handled")).toBe(0)
      expect(valueOf(text, "weir_dead_letters_total", { actor: "Keyed", reason: "failed" })).toBe(3)
      expect(valueOf(text, "weir_dead_letters_total", { actor: "One", reason: "failed" })).toBe(1)
      expect(valueOf(text, "weir_actor_restarts_total", { actor: "One" })).toBe(1)
      expect(valueOf(text, "weir_actor_restarts_total", { actor: "Keyed" })).toBe(0)
      expect(text).not.toContain("key 1")
    }))

  it.effect("count actors in memory; what they counted stays when they leave", () =>
    Effect.gen(function* () {
      const { keyed, page } = yield* setUp
      for (let i = 0; i < 3; i++) yield* keyed(`key ${i}`).ask.Work({ ms: 0 })
      expect(valueOf(yield* page, "weir_actor_residents", { actor: "Keyed" })).toBe(3)
      yield* TestClock.adjust("2 minutes")
      yield* turn
      const text = yield* page
      expect(valueOf(text, "weir_actor_residents", { actor: "Keyed" })).toBe(0)
      expect(valueOf(text, "weir_actor_messages_total", { actor: "Keyed" })).toBe(3)
    }))

  it.effect("count children under the name of their own definition, also after their end", () =>
    Effect.gen(function* () {
      const { child, page } = yield* setUp
      yield* child.ask.Work({ ms: 0 })
      yield* Effect.exit(child.ask.Crash())
      const before = yield* page
      expect(valueOf(before, "weir_actor_residents", { actor: "Child" })).toBe(1)
      expect(valueOf(before, "weir_actor_residents", { actor: "Parent" })).toBe(1)
      yield* child.stop
      yield* turn
      const after = yield* page
      expect(valueOf(after, "weir_actor_residents", { actor: "Child" })).toBe(0)
      for (const text of [before, after]) {
        expect(valueOf(text, "weir_actor_messages_total", { actor: "Child" })).toBe(2)
        expect(valueOf(text, "weir_actor_restarts_total", { actor: "Child" })).toBe(1)
      }
    }))

  it.effect("hold the wait of every message that was started, those that did not wait as 0", () =>
    Effect.gen(function* () {
      const { keyed, page } = yield* setUp
      const one = keyed("one")
      yield* one.ask.Work({ ms: 0 })
      yield* one.tell.Work({ ms: 200 })
      yield* turn
      // These wait 200 and 300 ms; the third is too late, the fourth is taken back.
      yield* one.tell.Work({ ms: 100 })
      yield* one.tell.Work({ ms: 0 })
      yield* one.tell.Work({ ms: 0 }, { expires: "100 millis" })
      const asking = yield* Effect.forkChild(one.ask.Work({ ms: 0 }), { startImmediately: true })
      yield* Fiber.interrupt(asking)
      yield* TestClock.adjust("200 millis")
      yield* TestClock.adjust("100 millis")
      const text = yield* page
      const below = (le: string) =>
        valueOf(text, "weir_mailbox_wait_seconds_bucket", { actor: "Keyed", le })
      expect(below("0.001")).toBe(2)
      expect(below("0.1")).toBe(2)
      expect(below("0.25")).toBe(3)
      expect(below("0.5")).toBe(4)
      expect(below("+Inf")).toBe(4)
      expect(valueOf(text, "weir_mailbox_wait_seconds_count", { actor: "Keyed" })).toBe(4)
      expect(valueOf(text, "weir_mailbox_wait_seconds_sum", { actor: "Keyed" })).toBeCloseTo(0.5)
      const ended = (outcome: string) =>
        valueOf(text, "weir_actor_messages_total", { actor: "Keyed", outcome })
      expect([ended("handled"), ended("expired"), ended("cancelled")]).toEqual([4, 1, 1])
    }))

  it.effect("count a start for each time that a message is taken up", () =>
    Effect.gen(function* () {
      const { keyed, page } = yield* setUp
      yield* keyed("one").tell.Later()
      yield* keyed("one").tell.Later()
      yield* turn
      const text = yield* page
      expect(valueOf(text, "weir_mailbox_wait_seconds_count", { actor: "Keyed" })).toBe(2)
      expect(valueOf(text, "weir_actor_messages_total", { actor: "Keyed" })).toBe(0)
    }))

  it.effect("are readable by a strict reader", () =>
    Effect.gen(function* () {
      const { page } = yield* setUp
      expect(parse(yield* page).length).toBeGreaterThan(0)
    }))

  it.effect("have a bounded number of names", () =>
    Effect.gen(function* () {
      const { page, system } = yield* setUp
      for (let i = 0; i < 1100; i++) system.unsafe.tally(`made up ${i}`).restarts++
      const text = yield* page
      expect(valueOf(text, "weir_actor_restarts_total")).toBe(1100)
      expect(valueOf(text, "weir_actor_restarts_total", { actor: "other" })).toBe(104)
    }))
})

describe("/saturation", () => {
  it.effect("holds every bounded construct of actors", () =>
    Effect.gen(function* () {
      const { registry } = yield* setUp
      expect(registry.snapshot(0).map(({ kind, name }) => `${kind} ${name}`).sort()).toEqual([
        "actors Keyed",
        "dead-letters dead-letters",
        "mailbox One",
        "mailbox Parent",
        "supervisor actors",
      ])
    }))
})
