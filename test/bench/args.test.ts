import { describe, expect, it } from "@effect/vitest"
import { parse, usage } from "./args.ts"
import { http } from "./http/suite.ts"

describe("parse", () => {
  it("has five rounds of two seconds by default", () => {
    expect(parse(["http"], [http])).toEqual({
      _tag: "Run",
      suite: http,
      rounds: 5,
      seconds: 2,
      only: [],
      json: undefined,
      writeDocs: false,
    })
  })

  it("reads every option of a suite", () => {
    expect(
      parse(
        ["http", "--rounds", "7", "--seconds=0.5", "--only", "raw-json, hono-json", "--json", "f"],
        [http],
      ),
    ).toMatchObject({ rounds: 7, seconds: 0.5, only: ["raw-json", "hono-json"], json: "f" })
    expect(parse(["http", "--write-docs"], [http])).toMatchObject({ writeDocs: true })
  })

  it("takes the default length of a suite from the suite, and lanes when told to", () => {
    const long = { ...http, seconds: 6 }
    expect(parse(["http"], [long])).toMatchObject({ seconds: 6 })
    expect(parse(["http", "--seconds", "3"], [long])).toMatchObject({ seconds: 3 })
    expect(parse(["http", "--lanes", "3"], [http])).toMatchObject({ lanes: 3 })
    expect(() => parse(["http", "--lanes", "0"], [http])).toThrow("--lanes takes a whole number")
  })

  it("takes what follows -- as the command to start", () => {
    expect(parse(["start", "--runs", "3", "--", "deno", "run", "--port", "{port}"], [http]))
      .toEqual({
        _tag: "Start",
        command: ["deno", "run", "--port", "{port}"],
        runs: 3,
        path: "/health/ready",
        idleSeconds: 5,
        json: undefined,
        writeDocs: false,
      })
  })

  it.each([
    { args: ["htpt"], message: `There is no suite "htpt". There are: http, start.` },
    {
      args: ["http", "--only", "raw"],
      message: `Suite http has no subject "raw". It has: raw-text`,
    },
    {
      args: ["http", "--rounds", "1.5"],
      message: `--rounds takes a whole number above 0, not "1.5"`,
    },
    {
      args: ["http", "--seconds", "soon"],
      message: `--seconds takes a number above 0, not "soon"`,
    },
    { args: ["http", "actors"], message: `"actors" is one argument too many` },
    { args: ["http", "--round", "5"], message: `Unknown option '--round'` },
    { args: ["start"], message: "No command to start" },
  ])("refuses $args with a sentence", ({ args, message }) => {
    expect(() => parse(args, [http])).toThrow(message)
  })

  it("shows the help without arguments, and every suite and subject in it", () => {
    expect(parse([], [http])).toEqual({ _tag: "Help" })
    for (const word of ["http", "start", "raw-json", "--write-docs"]) {
      expect(usage([http])).toContain(word)
    }
  })
})
