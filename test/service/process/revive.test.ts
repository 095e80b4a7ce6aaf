/** @embedded-only: it kills the server. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { closeDoor, site } from "../../store/support/embedded.ts"
import * as Process from "../../support/process.ts"
import { keepAsking, postmaster, tally } from "./support.ts"

// Everything here runs with the permissions of `deno task start`: what Deno shows to a program that
// may do everything, such as /proc, is not there.

it.live(
  "a service starts although the number of its killed PostgreSQL belongs to another program",
  () =>
    Effect.gen(function* () {
      const directory = yield* site
      const { gid, uid } = yield* Effect.promise(() => Deno.stat(join(directory, "data")))
      const other = yield* Effect.acquireRelease(
        Effect.sync(() =>
          new Deno.Command("sleep", {
            args: ["600"],
            ...(Deno.uid() === 0 ? { uid: uid!, gid: gid! } : {}),
          }).spawn()
        ),
        (child) =>
          Effect.promise(async () => {
            child.kill("SIGKILL")
            await child.status
          }),
      )
      const lines = [other.pid, join(directory, "data"), 1, 1, "", "127.0.0.1", "", "ready"]
      yield* Effect.promise(() =>
        Deno.writeTextFile(join(directory, "data", "postmaster.pid"), lines.join("\n"))
      )
      const service = yield* Process.service(undefined, { WEIR_DATA_DIR: directory }, ["-P=start"])
      expect((yield* Process.get(service, "/query/0")).status).toBe(200)
    }),
  120_000,
)

it.live(
  "a service whose embedded PostgreSQL is killed is not ready, answers 503, and mends itself",
  () =>
    Effect.gen(function* () {
      const directory = yield* site
      const service = yield* Process.service(undefined, { WEIR_DATA_DIR: directory }, ["-P=start"])
      const answers = yield* keepAsking(service, "/query/0.01", 10)
      const ready = Effect.map(Process.get(service, "/health/ready"), ({ status }) => status)
      const served = Effect.gen(function* () {
        const before = answers.length
        yield* Process.eventually(
          Effect.sync(() => answers.slice(before).filter(({ status }) => status === 200).length),
          (n) => n > 50,
        )
      })
      yield* served
      expect(yield* ready).toBe(200)

      const openDoor = yield* closeDoor(directory)
      Deno.kill((yield* postmaster(directory))!.pid, "SIGKILL")
      yield* Process.eventually(ready, (status) => status === 503)
      yield* Process.wrote(service, "err", "(attempt 1 of 8)")
      yield* Process.eventually(
        Effect.sync(() => tally(answers)),
        (seen) => (seen["503 database-unavailable"] ?? 0) > 50,
      )
      yield* openDoor
      yield* served
      yield* Process.eventually(ready, (status) => status === 200)

      const allowed = ["200", "503 database-unavailable", "503 refused"]
      const seen = tally(answers)
      expect(Object.keys(seen).filter((key) => !allowed.includes(key)), JSON.stringify(seen))
        .toEqual([])
      expect(service.err()).not.toMatch(/Unhandled|uncaught|\bbug\b/i)
      expect(service.err().match(/attempt \d of 8/g)).toEqual(["attempt 1 of 8"])
      yield* service.signal("SIGTERM")
      expect(yield* service.exit).toBe(0)
      expect(yield* postmaster(directory)).toBeUndefined()
    }),
  120_000,
)
