import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Process from "../support/process.ts"
import { dice, seed } from "./support.ts"

const total = 10_000
/** Fewer actors than clients, so that many messages are queued. */
const actors = 6
const clients = 40

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
      /** A socket of its own, closed at a random moment, mostly long before there is an answer. */
      const shoot = Effect.promise(async () => {
        const token = `t${leftAt.size}`
        leftAt.set(token, Infinity)
        // Most would never end; some end by themselves about when the client leaves.
        const forMs = int(4) === 0 ? `?forMs=${int(40)}` : ""
        const socket = await Deno.connect({ hostname: "127.0.0.1", port: service.port })
        const path = `/ask/${int(actors)}/${token}${forMs}`
        await socket.write(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`))
        await new Promise((resolve) => setTimeout(resolve, 5 + int(40)))
        leftAt.set(token, now())
        socket.close()
      })
      // On a busy machine some leave before the service has seen them: until enough have been seen.
      let aborted = 0
      while (aborted < total) {
        yield* Effect.forEach(
          Array.from({ length: Math.max(clients, total - aborted) }),
          () => shoot,
          { concurrency: clients, discard: true },
        )
        aborted = (yield* seen(service)).asks.length
      }

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
      // Each of the cancelled ones belongs to one request, which saw its client leave.
      expect(end.asks.length, report).toBe(cancelled)
      expect(new Set(end.asks.map((ask) => ask.requestReason)), report)
        .toEqual(new Set(["ClientAbort"]))

      // What had not been started when its client left never was.
      const queued = end.asks.filter((ask) => !ask.ran)
      expect(queued.filter((ask) => ask.everRan), report).toEqual([])
      expect(queued.length, report).toBeGreaterThan(total / 10)
      // What had been was told why, unless it was over at that moment.
      const running = end.asks.filter((ask) => ask.handlerReason !== null)
      expect(new Set(running.map((ask) => ask.handlerReason)), report)
        .toEqual(new Set(["ClientAbort"]))
      expect(running.length, report).toBeGreaterThan(total / 10)
      expect(queued.length + running.length, report).toBe(cancelled)

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
