import { describe, expect, it } from "@effect/vitest"
import { limits, parse } from "./args.ts"

const url = "http://127.0.0.1:8080/products?q=desk"
const job = (...args: ReadonlyArray<string>) => {
  const command = parse([url, ...args])
  if (command._tag !== "Run") throw new Error(command._tag)
  return command.job
}
const message = (...args: ReadonlyArray<string>): string => {
  try {
    parse(args)
  } catch (error) {
    return (error as Error).message
  }
  return "accepted"
}

describe("the command line of deno task load", () => {
  it("has defaults for everything but the URL", () => {
    const { host, port, streams, arrivals, seed } = job()
    expect({ host, port, arrivals, seed }).toEqual({
      host: "127.0.0.1",
      port: 8080,
      arrivals: "poisson",
      seed: 1,
    })
    expect(streams).toMatchObject([{
      path: "/products?q=desk",
      deadlineMs: 1000,
      phases: [{ seconds: 10, rate: 50 }],
      retry: { kind: "none" },
    }])
  })

  it("reads phases, retries, headers and keys", () => {
    const { streams } = job(
      ...["--phases", "40x3,100@500x6", "--retry", "retry-after:3:50ms", "--deadline", "2s"],
      ...["--header", "accept: text/plain", "--key", "shop=abc:0.25", "--key", "crawler=x-y:0.75"],
    )
    expect(streams.map(({ name }) => name)).toEqual(["shop", "crawler"])
    expect(streams[0]).toMatchObject({
      headers: { accept: "text/plain", "x-api-key": "abc" },
      deadlineMs: 2000,
      retry: { kind: "retry-after", retries: 3, baseMs: 50 },
      phases: [{ rate: 10, seconds: 3 }, { rate: 125, seconds: 6, atOnce: 25 }],
    })
  })

  it("loads this machine alone", () => {
    for (const host of ["127.0.0.1", "localhost", "127.8.9.10", "127.1"]) {
      expect(message(`http://${host}:8080/`), host).toBe("accepted")
    }
    for (
      const host of [
        "example.org",
        "10.0.0.1",
        "192.168.1.1",
        "0.0.0.0",
        "[::1]",
        "127.0.0.1.example.org",
      ]
    ) {
      expect(message(`http://${host}/`), host).toContain("is not this machine")
    }
    expect(message("https://127.0.0.1/")).toContain("Only http://")
    expect(message("http://me:secret@127.0.0.1/")).toContain("password")
    expect(message("products")).toBe(
      '"products" is no URL. Write one such as http://127.0.0.1:8080/products.',
    )
  })

  it("refuses nonsense with one sentence that names the option", () => {
    const nonsense: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
      [["--rate", "0"], "--rate"],
      [["--rate", "-5"], "--rate"],
      [["--rate", "many"], "--rate"],
      [["--rate", "1e9"], "--rate"],
      [["--rate", ""], "--rate"],
      [["--seconds", "NaN"], "--seconds"],
      [["--seconds", "100000"], "--seconds"],
      [["--seconds", "3600", "--rate", "20000"], String(limits.calls)],
      [["--phases", "40"], "--phases"],
      [["--phases", "40x0"], "--phases"],
      [["--phases", "40x3", "--rate", "5"], "--phases"],
      [["--arrivals", "uniform"], "--arrivals"],
      [["--seed", "1.5"], "--seed"],
      [["--deadline", "1000"], "--deadline"],
      [["--deadline", "0s"], "--deadline"],
      [["--deadline", "1h"], "--deadline"],
      [["--retry", "always"], "--retry"],
      [["--retry", "fixed:99:1ms"], "--retry"],
      [["--retry", "fixed:0:1ms"], "--retry"],
      [["--method", "get it"], "--method"],
      [["--header", "nonsense"], "--header"],
      [["--header", "a: b\r\nc: d"], "--header"],
      [["--header", "content-length: 5"], "content-length"],
      [["--key", "abc"], "--key"],
      [["--key", "a=b:0.4"], "--key"],
      [["--connections", "0"], "--connections"],
      [["--window", "0ms"], "--window"],
      [["--rates", "5"], "--rates"],
      [["--list"], "--list"],
      [["--pace", "1"], "--pace"],
      [["twice"], "twice"],
    ]
    for (const [args, part] of nonsense) {
      const said = message(url, ...args)
      expect(said, args.join(" ")).toContain(part)
      expect(said.split("\n").length, args.join(" ")).toBe(1)
    }
    expect(message("scenarios", "--rate", "5")).toBe("Scenarios take no --rate.")
    expect(message("scenarios", "--pace", "0")).toContain("--pace")
  })

  it("shows help without a URL", () => {
    expect(parse([])).toEqual({ _tag: "Help" })
    expect(parse([url, "--help"])).toEqual({ _tag: "Help" })
  })
})
