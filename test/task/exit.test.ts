import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { root } from "../support/tree.ts"

/** Runs a program in a Deno of its own until it exits by itself. */
const run = (program: string): Effect.Effect<{ code: number; out: string }> =>
  Effect.promise(async (signal) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", "--config", `${root}/deno.json`, program],
      cwd: root,
      signal,
    }).output()
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
    return { code, out: decode(stdout) + (code === 0 ? "" : decode(stderr)) }
  })

describe("a process", () => {
  it.live("exits as soon as its last task has ended, whatever deadlines were armed", () =>
    Effect.gen(function* () {
      const { code, out } = yield* run(`
        import { Effect } from "effect"
        import { Deadline, Task } from "@weir/runtime"
        const work = Effect.as(Effect.sleep("5 millis"), "done")
        const program = Task.run("x", Deadline.within("30 minutes")(work), { deadline: "1 hour" })
        console.log(await Effect.runPromise(program))
      `)
      expect({ code, out }).toEqual({ code: 0, out: "done\n" })
    }))
})
