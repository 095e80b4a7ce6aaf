import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as StartError from "../../src/store/DatabaseStartError.ts"
import { keep, type Kept } from "../../src/store/keep.ts"

const noPort = StartError.make("PortInUse", "Cannot start", "the port is in use", "Free the port")

/** A server with this process; `fails` attempts go wrong after each of its ends. */
const server = (fails: number) => {
  const lines: Array<string> = []
  const attempts: Array<number> = []
  let pid = 1
  let left = 0
  const kept: Kept = {
    name: "PostgreSQL",
    pid,
    alive: (asked) => Effect.sync(() => asked === pid),
    revive: Effect.flatMap(Effect.clockWith((clock) => clock.currentTimeMillis), (now) => {
      attempts.push(now)
      return left-- > 0 ? Effect.fail(noPort) : Effect.sync(() => pid = -pid)
    }),
  }
  const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${message}`))
  return {
    lines,
    attempts,
    /** The next start gets another number. */
    die: Effect.sync(() => {
      pid = -pid - 1
      left = fails
    }),
    run: Effect.provide(keep(kept), Logger.layer([logger])),
  }
}

it.effect("starts what has ended at once, and says so", () =>
  Effect.gen(function* () {
    const { attempts, die, lines, run } = server(0)
    yield* Effect.forkChild(run, { startImmediately: true })
    yield* TestClock.adjust("10 minutes")
    expect(attempts).toEqual([])
    yield* die
    yield* TestClock.adjust("1 second")
    expect(attempts).toEqual([600_500])
    expect(lines).toEqual([
      "Warn PostgreSQL has ended (process 1). Starting it again (attempt 1 of 8).",
      "Info PostgreSQL runs again (process 2).",
    ])
  }))

it.effect("gives up after eight attempts, further and further apart, and says what to do", () =>
  Effect.gen(function* () {
    const { attempts, die, lines, run } = server(Infinity)
    yield* die
    const fiber = yield* Effect.forkChild(run, { startImmediately: true })
    yield* TestClock.adjust("1 hour")
    expect(attempts).toEqual([0, 500, 1500, 3500, 7500, 15_500, 31_500, 61_500])
    expect(lines.length).toBe(9)
    expect(lines[1]).toBe(
      "Warn Cannot start: the port is in use. Starting it again in 500 ms (attempt 2 of 8).",
    )
    expect(lines[8]).toBe(
      "Error Cannot start: the port is in use. It is not started again after 8 attempts, and work " +
        "that needs it fails. Free the port, and start the service again.",
    )
    yield* Fiber.join(fiber)
  }))

it.effect("counts the attempts anew only for what has run for a minute", () =>
  Effect.gen(function* () {
    const { attempts, die, lines, run } = server(0)
    yield* Effect.forkChild(run, { startImmediately: true })
    for (let i = 0; i < 3; i++) {
      yield* die
      yield* TestClock.adjust("2 seconds")
    }
    expect(lines.join("\n").match(/attempt \d/g)).toEqual(["attempt 1", "attempt 2", "attempt 3"])
    yield* TestClock.adjust("1 minute")
    yield* die
    yield* TestClock.adjust("2 seconds")
    expect(lines.at(-2)).toContain("(attempt 1 of 8).")
    expect(attempts.length).toBe(4)
  }))

it.effect("an attempt that dies counts as one that fails", () =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    const run = keep({
      name: "PostgreSQL",
      pid: 1,
      alive: () => Effect.succeed(false),
      revive: Effect.die(new Error("oh")),
    })
    yield* Effect.forkChild(Effect.provide(run, Logger.layer([logger])), { startImmediately: true })
    yield* TestClock.adjust("1 hour")
    expect(lines.length).toBe(9)
    expect(lines[8]).toMatch(/^Error: oh\. It is not started again after 8 attempts/)
  }))
