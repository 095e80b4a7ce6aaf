import { expect, it } from "@effect/vitest"
import { Effect, Redacted, Schedule } from "effect"
import { fileURLToPath } from "node:url"
import * as TestDatabase from "../support/database.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))

/** The program of the README's first screen, as it is printed there. */
const program = async (): Promise<string> => {
  const text = await Deno.readTextFile(`${root}README.md`)
  const fences = Array.from(text.matchAll(/```ts[^\n]*\n([\s\S]*?)```/g), (match) => match[1]!)
  return fences.find((code) => code.includes("Service.run"))!
}

it.live("the README's program runs as printed and answers as it says", () =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.url
    const directory = yield* Effect.acquireRelease(
      Effect.promise(() => Deno.makeTempDir({ dir: `${root}test`, prefix: ".readme-" })),
      (path) => Effect.promise(() => Deno.remove(path, { recursive: true })),
    )
    const file = `${directory}/main.ts`
    yield* Effect.promise(async () => Deno.writeTextFile(file, await program()))
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-prompt", file],
          cwd: root,
          env: { PORT: "0", DATABASE_URL: Redacted.value(url) },
          stderr: "piped",
          stdout: "null",
        }).spawn()
      ),
      (child) =>
        Effect.promise(async () => {
          try {
            child.kill("SIGKILL")
          } catch {
            // It has ended.
          }
          await child.status
        }),
    )
    const lines = child.stderr.pipeThrough(new TextDecoderStream()).getReader()
    const address = yield* Effect.promise(async () => {
      let text = ""
      while (true) {
        const { done, value } = await lines.read()
        if (done) throw new Error(`The program ended: ${text}`)
        text += value
        const found = /listens on (http:\S+)/.exec(text)
        if (found !== null) return found[1]!
      }
    })
    lines.releaseLock()
    const get = (path: string) =>
      Effect.promise(async () => {
        const response = await fetch(`${address}${path}`)
        return [response.status, await response.json()] as const
      })
    expect(yield* Effect.retry(get("/stock/chair"), Schedule.recurs(3))).toEqual([
      200,
      { sku: "chair", left: 4 },
    ])
    expect((yield* get("/stock/sofa"))[0]).toBe(404)
    expect((yield* get("/health/ready"))[0]).toBe(200)
    expect((yield* get("/saturation"))[0]).toBe(200)
    const openapi = (yield* get("/openapi.json"))[1]
    expect(Object.keys(openapi.paths["/stock/{sku}"].get.responses)).toEqual(
      expect.arrayContaining(["200", "404", "503", "504"]),
    )
    child.kill("SIGTERM")
    const status = yield* Effect.promise(() => child.status)
    expect(status.code).toBe(0)
  }))
