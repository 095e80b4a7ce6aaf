import { describe, expect, it } from "@effect/vitest"
import { Redacted } from "effect"
import { ConnectionError, SqlError, UnknownError } from "effect/sql/SqlError"
import { checkVersion, describe as address } from "../../src/store/connect.ts"
import { parse } from "../../src/store/postmaster.ts"
import { explain } from "../../src/store/sentences.ts"
import { classify } from "../../src/store/sqlstate.ts"

const said = (text: string) => explain("Cannot start it", text)

describe("what PostgreSQL wrote becomes one sentence", () => {
  it.each([
    ["PortInUse", 'LOG:  could not bind IPv4 address "127.0.0.1": Address already in use'],
    ["DirectoryInUse", "FATAL:  pre-existing shared memory block (key 1) is still in use"],
    ["DirectoryInUse", 'FATAL:  lock file "postmaster.pid" already exists'],
    ["DiskFull", "initdb: error: could not write: No space left on device"],
    ["DirectoryNotWritable", 'initdb: error: could not create directory "/x": Permission denied'],
    [
      "BinaryFailed",
      "postgres: error while loading shared libraries: libicuuc.so.60: cannot open shared object",
    ],
    ["BinaryFailed", "initdb: /lib/libc.so.6: version `GLIBC_2.38' not found (required by initdb)"],
    ["DirectoryDamaged", "FATAL:  database files are incompatible with server"],
    ["NotStarted", "FATAL:  could not create shared memory segment: Function not implemented"],
    ["NotStarted", ""],
  ])("%s: %s", (reason, text) => {
    const error = said(text)
    expect(error.reason).toBe(reason)
    expect(error.message).toMatch(/^Cannot start it: [^\n]+\. [^\n]+\.$/)
  })

  it("takes the reason from the line that says most", () => {
    expect(said("LOG:  starting\nFATAL:  no memory.\nLOG:  down").message)
      .toBe(
        "Cannot start it: no memory. Read server.log in that directory, or set DATABASE_URL to a " +
          "PostgreSQL server of your own.",
      )
  })
})

describe("a server that is too old", () => {
  it("is refused with its version and the oldest that works", () => {
    expect(checkVersion("db:5432/shop", 130_012, "13.12")?.message).toBe(
      "Cannot use the database db:5432/shop: it runs PostgreSQL 13.12, and 14 is the oldest " +
        "version that works. Upgrade the server, or unset DATABASE_URL to use the embedded one.",
    )
  })

  it("is not one of version 14", () => {
    expect(checkVersion("db", 140_000, "14.0")).toBeUndefined()
  })
})

describe("an address", () => {
  it.each([
    ["postgres://u:p@db.example:6543/shop", "db.example:6543/shop"],
    ["postgresql://u@localhost", "localhost:5432"],
    ["postgres:///shop?host=/run/postgresql", "/run/postgresql:5432/shop"],
    ["mysql://u@h/d", undefined],
    ["nonsense", undefined],
  ])("%s is shown as %s", (url, expected) => {
    expect(address(Redacted.make(url))).toBe(expected)
  })
})

describe("postmaster.pid", () => {
  it("is read as PostgreSQL writes it", () => {
    expect(parse("8961\n/data\n1795191491\n55999\n\n127.0.0.1\n  21  13\nready   \n")).toEqual({
      pid: 8961,
      dataDirectory: "/data",
      port: 55999,
      host: "127.0.0.1",
      status: "ready",
    })
  })

  it.each(["", "x\ny\n", "0\n/data\n", "12"])("is none when it is cut short: %j", (text) => {
    expect(parse(text)).toBeUndefined()
  })
})

describe("an error of the server", () => {
  const withCode = (code: string) =>
    classify(
      new SqlError({
        reason: new UnknownError({ cause: Object.assign(new Error("x"), { code }) }),
      }),
    )

  it.each([
    ["57P03", "StartingUp"],
    ["57P01", "ShuttingDown"],
    ["57P02", "ShuttingDown"],
    ["53300", "TooManyConnections"],
    ["53100", "OutOfResources"],
    ["08006", "ConnectionLost"],
    ["57014", "TimedOut"],
    ["40P01", "Conflict"],
    ["40001", "Conflict"],
  ])("%s is %s", (code, reason) => {
    expect(withCode(code)).toMatchObject({ _tag: "DatabaseUnavailable", reason, code })
  })

  it.each(["22012", "42601", "23505", "42P01"])("%s is the program's fault", (code) => {
    expect(withCode(code)).toBeUndefined()
  })

  it.each([["connect", "Unreachable"], ["query", "ConnectionLost"]])(
    "without a code, while it was to %s, is %s",
    (operation, reason) => {
      const cause = new Error("socket")
      const error = new SqlError({ reason: new ConnectionError({ cause, operation }) })
      const known = classify(error)
      expect(known).toMatchObject({ reason })
      expect(known?.cause).toBe(error)
      expect(JSON.stringify(known)).not.toContain("socket")
    },
  )
})
