import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Process from "../support/process.ts"
import { dice, seed } from "./support.ts"

const total = 10_000
/** Actors that are busy all the time, so that what they are asked is queued. */
const busy = 4
const clients = 10

interface Ask {
  readonly token: string
  readonly ran: boolean
  readonly everRan: boolean
  readonly handlerReason: string | null
  readonly requestReason: string
  readonly releasedAt: number
}

interface Seen {
  readonly running: number
  readonly asks: ReadonlyArray<Ask>
  readonly accounts: ReadonlyArray<{
    readonly name: string
    readonly sent: number
    readonly queued: number
    readonly running: number
    readonly ended: Readonly<Record<string, number>>
  }>
}

const seen = (service: Process.Service): Effect.Effect<Seen> =>
  Effect.map(Process.get(service, "/seen"), ({ body }) => JSON.parse(body))

const now = () => performance.timeOrigin + performance.now()

/** What to add to this process's time to get the service's, from the quickest of some exchanges. */
const offset = (service: Process.Service): Effect.Effect<number> =>
  Effect.gen(function* () {
    let best = Infinity
    let found = 0
    for (let i = 0; i < 200; i++) {
      const before = now()
      const { body } = yield* Process.get(service, "/clock")
      const after = now()
      if (after - before < best) {
        best = after - before
        found = Number(body) - (before + after) / 2
      }
    }
    return found
  })

const percentile = (sorted: ReadonlyArray<number>, p: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]!

const describe = (name: string, values: ReadonlyArray<number>) => {
  const sorted = values.toSorted((a, b) => a - b)
  const [p50, p99, most] = [0.5, 0.99, 1].map((p) => percentile(sorted, p).toFixed(1))
  return `${name}: ${values.length}, p50 ${p50} ms, p99 ${p99} ms, max ${most} ms`
}

it.live(
  `${total} clients that leave while their requests ask actors: every ask ends, none runs on`,
  () =>
    Effect.gen(function* () {
      const service = yield* Process.service(undefined, {}, undefined, "actors")
      const ahead = yield* offset(service)
      const { int } = dice(2)
      const leftAt = new Map<string, number>()
      const hogs = new AbortController()
      for (let n = 0; n < busy; n++) {
        yield* Effect.forkScoped(
          Process.get(service, `/ask/busy-${n}/hog-${n}`, { signal: hogs.signal }),
          { startImmediately: true },
        )
      }
      yield* Process.eventually(seen(service), ({ running }) => running === busy)

      /** A socket of its own, closed at a random moment, mostly long before there is an answer. */
      const shoot = (n: number) =>
        Effect.promise(async () => {
          const queues = n % 2 === 0
          const token = `${queues ? "queued" : "running"}-${leftAt.size}`
          leftAt.set(token, Infinity)
          // Most would never end; some end by themselves about when the client leaves.
          const forMs = !queues && int(4) === 0 ? `?forMs=${int(40)}` : ""
          const key = queues ? `busy-${int(busy)}` : `idle-${leftAt.size}`
          const socket = await Deno.connect({ hostname: "127.0.0.1", port: service.port })
          const path = `/ask/${key}/${token}${forMs}`
          await socket.write(
            new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`),
          )
          await new Promise((resolve) => setTimeout(resolve, 5 + int(40)))
          leftAt.set(token, now())
          socket.close()
        })
      // On a busy machine some leave before the service has seen them: until enough have been seen.
      const of = (asks: ReadonlyArray<Ask>, kind: string) =>
        asks.filter((ask) => ask.token.startsWith(kind))
      let left = total
      while (left > 0) {
        yield* Effect.forEach(Array.from({ length: left }, (_, n) => n), shoot, {
          concurrency: clients,
          discard: true,
        })
        const { asks } = yield* seen(service)
        const enough = ["queued", "running"].map((kind) => total / 2 - of(asks, kind).length)
        left = Math.max(0, ...enough) * 2
      }
      hogs.abort()

      const end = yield* Process.eventually(
        seen(service),
        ({ accounts, running }) =>
          running === 0 &&
          accounts.every((account) => account.queued === 0 && account.running === 0),
      )
      const worker = end.accounts.find(({ name }) => name === "Worker")!
      const report = JSON.stringify({ seed, worker, asks: end.asks.length })
      // Every message ended in exactly one way, and there are only these ways here.
      const { cancelled, handled } = worker.ended
      expect(Object.values(worker.ended).reduce((a, b) => a + b), report).toBe(worker.sent)
      expect(cancelled! + handled!, report).toBe(worker.sent)
      expect(cancelled, report).toBeGreaterThanOrEqual(total)
      // Each of the cancelled ones belongs to one request, which saw its client leave. A few clients
      // may have left in the very moment of the answer.
      const over = end.asks.filter((ask) => ask.ran && ask.handlerReason === null)
      expect(end.asks.length - over.length, report).toBe(cancelled)
      expect(over.length, report).toBeLessThanOrEqual(handled!)
      expect(new Set(end.asks.map((ask) => ask.requestReason)), report)
        .toEqual(new Set(["ClientAbort"]))

      // What was queued when its client left has never run.
      const queued = of(end.asks, "queued")
      expect(queued.filter((ask) => ask.ran || ask.everRan), report).toEqual([])
      // What ran was told why.
      const running = of(end.asks, "running").filter((ask) => !over.includes(ask))
      expect(new Set(running.map((ask) => ask.handlerReason)), report)
        .toEqual(new Set(["ClientAbort"]))
      expect(queued.length + running.length + busy, report).toBe(cancelled)

      const tasks = JSON.parse((yield* Process.get(service, "/tasks?kind=actor")).body).tasks
      expect(
        tasks.map(({ name }: { readonly name: string }) => name)
          .filter((name: string) => name.includes(".")),
        report,
      ).toEqual([])

      const waits = (asks: ReadonlyArray<Ask>) =>
        asks.map((ask) => ask.releasedAt - ahead - leftAt.get(ask.token)!)
      console.log(
        `disconnect -> released, ${clients} clients at once:\n` +
          `  ${describe("queued", waits(queued))}\n  ${describe("running", waits(running))}`,
      )

      yield* service.signal("SIGTERM")
      expect(yield* service.exit).toBe(0)
      expect(service.err()).toContain("0 pending, 0 cancelled, 0 discarded")
    }),
  180_000,
)
