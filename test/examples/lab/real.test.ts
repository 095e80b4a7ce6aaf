import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted } from "effect"
import { main, objection } from "../../../examples/lab/command.ts"
import { mostOk } from "../../../examples/lab/judge.ts"
import type { Results } from "../../../examples/lab/results.ts"
import { plan, realTime } from "../../../examples/lab/run.ts"
import { defaults, ids } from "../../../examples/lab/variants.ts"
import * as TestDatabase from "../../support/database.ts"
import { root } from "../../support/tree.ts"

/** Runs the command on the database of the tests. */
const run = (url: Redacted.Redacted, ...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    let [out, err] = ["", ""]
    const code = yield* main(args, {
      out: (text) => out += text,
      err: (text) => err += text,
      watched: false,
    })
    return { code, out, err }
  }).pipe(
    Effect.provide(
      ConfigProvider.layer(ConfigProvider.fromUnknown({ DATABASE_URL: Redacted.value(url) })),
    ),
  )

const small = ["--requests", "30", "--pool", "5", "--query", "60", "--deadline", "180"]

describe("deno task lab in real time", () => {
  // Counts and lower bounds alone: a slow machine makes everything later, and never sooner.
  it.live(
    "is never faster than predicted, and says how it lies",
    () =>
      Effect.scoped(Effect.gen(function* () {
        const url = yield* TestDatabase.url
        const json = yield* run(url, ...small, "--queue", "10", "--variants", "A,B,D,F", "--json")
        const results = JSON.parse(json.out) as Results
        expect(json.code).toBe(0)
        const [a, b, d] = results.bursts.map(({ real }) => real!.figures)
        for (const { real, variant } of results.bursts) {
          const { failed, ok, refused, timedOut } = real!.figures
          expect(ok + timedOut + refused, variant.letter).toBe(variant.requests)
          expect(failed, variant.letter).toBe(0)
          expect(ok, variant.letter).toBeLessThanOrEqual(mostOk(variant, real!.rows))
          expect(real!.verdict.kind, variant.letter).not.toBe("impossible")
          const ended = real!.rows.filter(({ outcome }) => outcome === "ok")
            .map(({ ended }) => ended).sort((a, b) => a - b)
          const early = ended.filter((at, n) => at < (Math.floor(n / 5) + 1) * 60 - 1)
          expect(early, variant.letter).toEqual([])
        }
        expect([a!.ok, a!.makespan >= 6 * 60 - 1]).toEqual([30, true])
        // In B nobody but the client knows its deadline, in D there is none.
        expect([b!.refused, d!.timedOut]).toEqual([0, 0])
        expect(results.way!.medianMs).toBeGreaterThanOrEqual(59)

        const text = yield* run(url, ...small, "--variants", "A", "--no-plots")
        expect(text.out).toMatch(
          /Real time: \d of 1 variants lie within the tolerance \(never faster than predicted, at most \d+\u00a0% slower/,
        )
        expect(text.out).toContain("Twice the worst is tolerated")
      })),
    60_000,
  )

  it.live(
    "refuses more connections than the server has, with a sentence",
    () =>
      Effect.scoped(Effect.gen(function* () {
        const url = yield* TestDatabase.url
        const { code, err, out } = yield* run(url, "--pool", "900", "--variants", "E")
        expect(err).toContain("Cannot run in real time: the experiments need 1800 connections")
        expect({ code, out }).toEqual({ code: 1, out: "" })
      })),
    60_000,
  )

  it.live("stops with Ctrl+C, in PostgreSQL too", () =>
    Effect.scoped(Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--no-prompt", "--quiet", "-P=start", "examples/lab/main.ts"],
          ...["--variants", "A", "--query", "20000", "--requests", "20"],
        ],
        cwd: root,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        env: { DATABASE_URL: Redacted.value(url) },
      }).spawn()
      const ended = child.output()
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          try {
            child.kill("SIGKILL")
          } catch {
            // It has ended.
          }
        })
      )
      const admin = yield* TestDatabase.connection(url)
      const running = Effect.map(
        Effect.orDie(
          admin.query(`select count(*)::int as n from pg_stat_activity
            where datname = current_database() and state = 'active' and query like 'select pg_sleep%'`),
        ),
        (found) => (found as unknown as { rows: ReadonlyArray<{ n: number }> }).rows[0]!.n,
      )
      yield* TestDatabase.eventually(running, (n) => n > 0)
      child.kill("SIGINT")
      const { code, stderr, stdout } = yield* Effect.promise(() => ended)
      expect(new TextDecoder().decode(stderr)).toContain("Stops:")
      expect([code, stdout.length]).toEqual([130, 0])
      expect(yield* TestDatabase.eventually(running, (n) => n === 0)).toBe(0)
    })), 60_000)
})

describe("the plan", () => {
  it("knows how long real time takes, and that a whole run takes less than 90 s", () => {
    const whole = plan(defaults, ids, true)
    expect(realTime(whole)).toBeGreaterThan(30_000)
    expect(realTime(whole)).toBeLessThan(70_000)
    expect(realTime(plan(defaults, ids, false))).toBe(0)
    expect(objection(whole)).toBeUndefined()
  })
})
