import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Process from "../../support/process.ts"

const start = (env: Readonly<Record<string, string>> = {}) =>
  Process.service(undefined, env, undefined, "actors")

const lines = (process: Process.Process) => process.out().trim().split("\n")

describe("SIGTERM while actors have messages", () => {
  it.live("what was told before is handled, across actors, and each closes after its senders", () =>
    Effect.gen(function* () {
      const service = yield* start()
      expect((yield* Process.get(service, "/notes/100")).status).toBe(200)
      yield* service.signal("SIGTERM")
      expect(yield* service.exit).toBe(0)
      expect(lines(service).filter((line) => line.startsWith("filed"))).toEqual(
        Array.from({ length: 100 }, (_, n) => `filed: ${n}`),
      )
      // The edge first, then the actors, the one that was built last before the one it needs.
      expect(lines(service).filter((line) => line.startsWith("closed"))).toEqual([
        "closed: handlers",
        "closed: Notes",
        "closed: Archive",
      ])
      expect(lines(service).at(-1)).toBe("closed: Archive")
      expect(service.err()).toMatch(
        /Actors stopped \(Archive, Notes, Worker\): \d+ pending, 0 cancelled, 0 discarded/,
      )
    }))

  it.live("so it is when the actors were given with the handlers: they stop first", () =>
    Effect.gen(function* () {
      // Longer than the handlers have to close: actors have a time of their own.
      const service = yield* start({
        FIXTURE_IN_HANDLERS: "1",
        FIXTURE_NOTE_MS: "100",
        FIXTURE_GRACE_MS: "60000",
        FIXTURE_CLOSE_MS: "300",
      })
      expect((yield* Process.get(service, "/notes/10")).status).toBe(200)
      yield* service.signal("SIGTERM")
      expect(yield* service.exit).toBe(0)
      expect(lines(service).filter((line) => line.startsWith("filed")).length).toBe(10)
      expect(lines(service).filter((line) => line.startsWith("closed"))).toEqual([
        "closed: Notes",
        "closed: Archive",
        "closed: handlers",
      ])
    }))

  it.live("what its grace does not suffice for is discarded, counted and reported; exit 0", () =>
    Effect.gen(function* () {
      const service = yield* start({ FIXTURE_NOTE_MS: "60000", FIXTURE_GRACE_MS: "200" })
      expect((yield* Process.get(service, "/notes/100")).status).toBe(200)
      yield* service.signal("SIGTERM")
      expect(yield* service.exit).toBe(0)
      expect(service.err()).toMatch(
        /Actors stopped \(Archive, Notes, Worker\): 100 pending, 1 cancelled, 99 discarded/,
      )
      expect(service.err()).toContain("99 messages were accepted and not handled")
    }))

  it.live("all actors together have one time, however long each might take", () =>
    Effect.gen(function* () {
      const service = yield* start({
        FIXTURE_NOTE_MS: "60000",
        FIXTURE_GRACE_MS: "60000",
        FIXTURE_ACTORS_MS: "300",
      })
      expect((yield* Process.get(service, "/notes/10")).status).toBe(200)
      yield* service.signal("SIGTERM")
      expect(yield* service.exit).toBe(0)
      expect(service.err()).toMatch(/10 pending, 1 cancelled, 9 discarded/)
    }))
})

interface Seen {
  readonly running: number
  readonly asks: ReadonlyArray<{
    readonly token: string
    readonly ran: boolean
    readonly everRan: boolean
    readonly handlerReason: string | null
    readonly requestReason: string
  }>
  readonly accounts: ReadonlyArray<{ readonly name: string; readonly ended: object }>
}

const seen = (service: Process.Service): Effect.Effect<Seen> =>
  Effect.map(Process.get(service, "/seen"), ({ body }) => JSON.parse(body))

const workers = (service: Process.Service) =>
  Effect.map(seen(service), ({ accounts }) => accounts.find(({ name }) => name === "Worker")!)

const asking = (service: Process.Service, token: string) => {
  const controller = new AbortController()
  return Effect.map(
    Effect.forkScoped(
      Process.get(service, `/ask/desk/${token}`, { signal: controller.signal }),
      { startImmediately: true },
    ),
    (fiber) => ({ fiber, leave: Effect.sync(() => controller.abort()) }),
  )
}

describe("a client that leaves while its request asks an actor", () => {
  it.live("cancels the handler with ClientAbort; what is queued behind it runs next", () =>
    Effect.gen(function* () {
      const service = yield* start()
      const first = yield* asking(service, "first")
      yield* Process.eventually(seen(service), ({ running }) => running === 1)
      const second = yield* asking(service, "second")
      yield* Process.eventually(
        workers(service),
        (account) => "queued" in account && account.queued === 1,
      )
      yield* first.leave
      yield* Process.eventually(seen(service), ({ asks }) => asks.length === 1)
      const { asks } = yield* seen(service)
      expect(asks).toMatchObject([
        { token: "first", ran: true, handlerReason: "ClientAbort", requestReason: "ClientAbort" },
      ])
      yield* Process.eventually(seen(service), ({ running }) => running === 1)
      yield* second.leave
      yield* Process.eventually(seen(service), ({ running }) => running === 0)
      expect((yield* Fiber.join(second.fiber)).status).toBe(0)
      expect(yield* workers(service)).toMatchObject({
        sent: 2,
        queued: 0,
        running: 0,
        ended: { cancelled: 2, handled: 0 },
      })
    }))

  it.live("takes a queued message out: it never runs, and its place is free", () =>
    Effect.gen(function* () {
      const service = yield* start()
      const first = yield* asking(service, "first")
      yield* Process.eventually(seen(service), ({ running }) => running === 1)
      const second = yield* asking(service, "second")
      yield* Process.eventually(
        workers(service),
        (account) => "queued" in account && account.queued === 1,
      )
      yield* second.leave
      yield* Process.eventually(
        workers(service),
        (account) => "queued" in account && account.queued === 0,
      )
      yield* first.leave
      yield* Process.eventually(seen(service), ({ asks, running }) => asks.length + running === 2)
      const { asks } = yield* seen(service)
      expect(asks[0]).toMatchObject({
        token: "second",
        ran: false,
        everRan: false,
        handlerReason: null,
        requestReason: "ClientAbort",
      })
    }))
})

describe("actors in what a service shows", () => {
  it.live("/saturation lists a single actor's mailbox and the actors with keys; /tasks what runs", () =>
    Effect.gen(function* () {
      const service = yield* start()
      const first = yield* asking(service, "first")
      yield* Process.eventually(seen(service), ({ running }) => running === 1)
      const { bounded } = JSON.parse((yield* Process.get(service, "/saturation")).body)
      const named = (name: string) =>
        bounded.find((thing: { readonly name: string }) => thing.name === name)
      expect(named("Notes")).toMatchObject({
        kind: "mailbox",
        capacity: 1,
        inUse: 0,
        waiting: 0,
        queueCapacity: 1024,
      })
      expect(named("Worker")).toMatchObject({ kind: "actors", capacity: 10_000, inUse: 1 })

      const listed = JSON.parse((yield* Process.get(service, "/tasks")).body).tasks
      const task = (name: string) =>
        listed.find((task: { readonly name: string }) => task.name === name)
      // Its parent is the request that asks, so its own deadline is the request's.
      expect(task("Worker/desk.Work")).toMatchObject({
        kind: "actor",
        state: "running",
        parentId: task("actors.ask").id,
        deadline: task("actors.ask").deadline,
      })
      expect(task("Worker")).toMatchObject({ kind: "child", parentId: task("actors").id })
      expect(task("actors")).toMatchObject({ kind: "supervisor" })

      const { body } = yield* Process.get(service, "/metrics")
      expect(body).toMatch(/weir_bounded_in_use\{[^}]*name="Worker"[^}]*\} 1/)
      expect(body).toMatch(/weir_bounded_queue_capacity\{[^}]*name="Notes"[^}]*\} 1024/)

      // An operator may cancel it like any other task.
      const answer = yield* Process.get(service, `/tasks/${task("Worker/desk.Work").id}`, {
        method: "DELETE",
      })
      expect(answer.status).toBe(200)
      expect((yield* Fiber.join(first.fiber)).status).toBe(500)
      yield* Process.eventually(seen(service), ({ running }) => running === 0)
      const ended = yield* Process.get(service, "/metrics")
      expect(ended.body).toMatch(
        /weir_actor_messages_total\{[^}]*actor="Worker",outcome="cancelled"\} 1/,
      )
      expect(ended.body).toMatch(/weir_actor_residents\{[^}]*actor="Worker"\} 1/)
    }))
})
