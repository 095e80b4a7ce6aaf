import { describe, expect, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as TestDatabase from "../../support/database.ts"
import { oldPostgres } from "../../support/old_postgres.ts"
import * as Process from "../../support/process.ts"

const failed = (
  env: Readonly<Record<string, string>>,
  permissions?: ReadonlyArray<string>,
) =>
  Effect.gen(function* () {
    const process = yield* Process.start("service", { PORT: "0", ...env }, permissions)
    expect(yield* process.exit).toBe(1)
    // One line, no stack, and nothing that only a developer of Weir understands.
    expect(process.err().trimEnd()).not.toMatch(/\n|\.ts:|bug|Error/)
    return process.err().trimEnd()
  })

describe("a start that cannot succeed exits with 1 and one sentence", () => {
  it.live("port in use", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const other = yield* Process.service(url)
      const said = yield* failed({
        DATABASE_URL: Redacted.value(url),
        PORT: String(other.port),
      })
      expect(said).toBe(
        `Cannot start: Cannot listen on 127.0.0.1:${other.port}: address in use. Stop the other ` +
          "process, or set PORT (or server.port, where the program sets it) to another one.",
      )
      // The one that was there first does not notice.
      expect((yield* Process.get(other, "/fast")).status).toBe(200)
    }))

  it.live("a permission that Deno was not given", () =>
    Effect.gen(function* () {
      expect(yield* failed({}, ["--allow-net", "--allow-env=FIXTURE_*"])).toMatch(
        /^Cannot start: Requires env access.*--allow-env flag\. Or use -A, which allows everything\.$/,
      )
    }))

  it.live("a host that is none", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const said = yield* failed({ DATABASE_URL: Redacted.value(url), HOST: "999.1.1.1" })
      expect(said).toMatch(
        /^Cannot start: Cannot listen on 999\.1\.1\.1:0: failed to lookup .* Write HOST as an address/,
      )
    }))

  it.live("a port that is none", () =>
    Effect.gen(function* () {
      for (const port of ["70000", "-1", "http", "80.5"]) {
        expect(yield* failed({ PORT: port })).toMatch(/^Cannot start: a setting is wrong: .*PORT/)
      }
    }))

  it.live("nobody at the address of the database", () =>
    Effect.gen(function* () {
      const free = Deno.listen({ hostname: "127.0.0.1", port: 0 })
      const { port } = free.addr
      free.close()
      const said = yield* failed({ DATABASE_URL: `postgres://weir:secret@127.0.0.1:${port}/shop` })
      expect(said).toMatch(
        new RegExp(`^Cannot start: Cannot use the database 127.0.0.1:${port}/shop: .*Start the`),
      )
      expect(said).not.toContain("secret")
    }))

  it.live("an address of the database that is none", () =>
    Effect.gen(function* () {
      expect(yield* failed({ DATABASE_URL: "mysql://root:secret@localhost/shop" })).toBe(
        "Cannot start: Cannot read DATABASE_URL: it is not a PostgreSQL address. Write it as " +
          "postgres://user:password@host:5432/database.",
      )
    }))

  it.live("a database that does not exist", () =>
    Effect.gen(function* () {
      const url = TestDatabase.withUrl(
        yield* TestDatabase.server,
        (url) => url.pathname = "/nowhere",
      )
      expect(yield* failed({ DATABASE_URL: Redacted.value(url) })).toMatch(
        /^Cannot start: Cannot use the database .*nowhere.*Create it/,
      )
    }))

  it.live("a PostgreSQL that is too old", () =>
    Effect.gen(function* () {
      const port = yield* oldPostgres("12.3", "120003")
      expect(yield* failed({ DATABASE_URL: `postgres://shop:secret@127.0.0.1:${port}/shop` })).toBe(
        `Cannot start: Cannot use the database 127.0.0.1:${port}/shop: it runs PostgreSQL 12.3, ` +
          "and 14 is the oldest version that works. Upgrade the server, or unset DATABASE_URL to " +
          "use the embedded one.",
      )
    }))

  it.live("a duration or a size in the program that is none", () =>
    Effect.gen(function* () {
      const DATABASE_URL = Redacted.value(yield* TestDatabase.url)
      const form = 'Write it as "500 millis", "2 seconds" or "1 minute", or as a number of ' +
        "milliseconds."
      expect(yield* failed({ DATABASE_URL, FIXTURE_DEADLINE: "5 parsecs" })).toBe(
        `Cannot start: Policy of fixture.query: deadline is "5 parsecs", which is no duration. ${form}`,
      )
      expect(yield* failed({ DATABASE_URL, FIXTURE_GRACE_MS: "soon" })).toBe(
        `Cannot start: drain.grace is "NaN millis", which is no duration. ${form}`,
      )
      expect(yield* failed({ DATABASE_URL, FIXTURE_MAX_BODY: "a lot" })).toBe(
        'Cannot start: server.maxBodySize is "a lot", which is no size. Write it as "512 KiB" or ' +
          '"10 MiB", or as a number of bytes.',
      )
    }))

  it.live("a name in `uses` without its brackets", () =>
    Effect.gen(function* () {
      const DATABASE_URL = Redacted.value(yield* TestDatabase.url)
      expect(yield* failed({ DATABASE_URL, FIXTURE_USES_TEXT: "database" })).toBe(
        'Cannot start: Policy of fixture.fast: uses is "database", but it must be an array of ' +
          'names. Write uses: ["database"].',
      )
    }))

  it.live("a name in `uses` that no pool has", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const said = yield* failed({
        DATABASE_URL: Redacted.value(url),
        FIXTURE_USES: "databse",
      })
      expect(said).toMatch(
        /^Cannot start: Policy of fixture\.fast uses "databse", but there is no such pool or actor\. Known: .*"database"/,
      )
    }))
})

it.live.skipIf(TestDatabase.external)(
  "a wrong password: exits with 1 and one sentence",
  () =>
    Effect.gen(function* () {
      const url = TestDatabase.withUrl(yield* TestDatabase.server, (url) => url.password = "guess")
      const said = yield* failed({ DATABASE_URL: Redacted.value(url) })
      expect(said).toMatch(/^Cannot start: Cannot use the database .*Correct user and password/)
      expect(said).not.toContain("guess")
    }),
)
