import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { alive } from "../../src/store/server.ts"

const looks = (process: { readonly pid: number; readonly port: number }) =>
  Effect.all(Array.from({ length: 11 }, (_, look) => alive(process, look)))

const listening = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => Deno.listen({ hostname: "127.0.0.1", port: 0 })),
    (listener) => Effect.sync(() => listener.close()),
  ),
  (listener) => (listener.addr as Deno.NetAddr).port,
)

it.live("what is there and listens is alive", () =>
  Effect.gen(function* () {
    const port = yield* listening
    expect(yield* looks({ pid: Deno.pid, port })).not.toContain(false)
  }).pipe(Effect.scoped))

it.live("a process that is gone is not alive, at every look", () =>
  Effect.gen(function* () {
    const port = yield* listening
    const pid = yield* Effect.promise(async () => {
      const child = new Deno.Command("true").spawn()
      await child.status
      return child.pid
    })
    expect(yield* looks({ pid, port })).not.toContain(true)
  }).pipe(Effect.scoped))

it.live("a number that is taken does not hide for long that nobody listens", () =>
  Effect.gen(function* () {
    const port = yield* Effect.scoped(listening)
    expect((yield* looks({ pid: Deno.pid, port })).indexOf(false)).toBe(9)
  }))
