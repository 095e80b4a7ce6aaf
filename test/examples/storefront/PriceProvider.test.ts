import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, Scope } from "effect"
import { PriceProvider, type Program } from "../../../examples/storefront/PriceProvider.ts"
import { eventually } from "../../support/process.ts"

/** A program as one line of JavaScript. */
const script = (code: string): Program => ({ command: Deno.execPath(), args: ["eval", code] })

const listening = `console.error("prices listens on http://127.0.0.1:4711\\n  try   this");`
const forever = "setInterval(() => {}, 1000);"

/** The provider on that program, what is logged meanwhile, and how to stop it. */
const start = (program: Program) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.layer([Logger.make(({ message }) => {
      lines.push(String(message))
    })])
    const scope = yield* Scope.fork(yield* Effect.scope)
    const context = yield* Layer.build(
      PriceProvider.supervised(program).pipe(Layer.provide(logger)),
    ).pipe(Scope.provide(scope))
    const { url } = Context.get(context, PriceProvider)
    const said = (text: RegExp) =>
      eventually(
        Effect.sync(() => lines.map((line) => text.exec(line)).find((match) => match !== null)),
        (match) => match !== undefined,
      )
    return { url, lines, said, stop: Scope.close(scope, Exit.void) }
  })

const alive = (pid: number) => {
  try {
    Deno.kill(pid, "SIGCONT")
    return true
  } catch {
    return false
  }
}

describe("the price provider's process", () => {
  it.live("has an address once it listens, and none after it has ended", () =>
    Effect.gen(function* () {
      const { lines, said, stop, url } = yield* start(
        script(`${listening} console.error("and more"); setTimeout(() => Deno.exit(7), 500)`),
      )
      expect((yield* Effect.flip(url))._tag).toBe("NoProvider")
      expect(yield* eventually(Effect.option(url), ({ _tag }) => _tag === "Some"))
        .toMatchObject({ value: "http://127.0.0.1:4711" })
      yield* said(/^price provider: and more$/)
      yield* said(/Child "process" .* failed\. Restart 1 follows in 250 ms/)
      expect((yield* Effect.flip(url))._tag).toBe("NoProvider")
      // And once more.
      yield* eventually(Effect.option(url), ({ _tag }) => _tag === "Some")
      yield* stop
      expect(lines.join("\n")).not.toContain("try   this")
    }))

  it.live("is started again and again, ever later, and stops nobody", () =>
    Effect.gen(function* () {
      for (const program of [script("Deno.exit(3)"), { command: "/no/such/program", args: [] }]) {
        const { said, stop, url } = yield* start(program)
        yield* said(/Restart 1 follows in 250 ms/)
        yield* said(/Restart 2 follows in 500 ms/)
        yield* said(/Restart 3 follows in 1000 ms/)
        expect((yield* Effect.flip(url))._tag).toBe("NoProvider")
        yield* stop
      }
    }))

  it.live("is gone when its scope has closed, even one that does not listen to SIGTERM", () =>
    Effect.gen(function* () {
      const deaf = `Deno.addSignalListener("SIGTERM", () => console.error("no"));`
      const { said, stop } = yield* start(script(`${deaf} ${listening} ${forever}`))
      const pid = Number((yield* said(/listens on .*, process (\d+)\./))![1])
      expect(alive(pid)).toBe(true)
      yield* stop
      expect(alive(pid)).toBe(false)
      yield* said(/^price provider: no$/)
    }))

  it.live("does not see the secrets in our environment", () =>
    Effect.gen(function* () {
      yield* Effect.acquireRelease(
        Effect.sync(() => Deno.env.set("STOREFRONT_TEST_SECRET", "hush")),
        () => Effect.sync(() => Deno.env.delete("STOREFRONT_TEST_SECRET")),
      )
      const { said, stop } = yield* start(
        script(`console.error(Object.keys(Deno.env.toObject()).join()); ${forever}`),
      )
      const names = (yield* said(/^price provider: (.*PORT.*)$/))![1]
      expect(names).not.toContain("SECRET")
      expect(names).not.toContain("DATABASE")
      yield* stop
    }))
})
