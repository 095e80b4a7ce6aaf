import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpServerRequest } from "effect/http"
import { allowedMs, headerOf } from "../../src/edge/head.ts"

const names = ["prefer", "x-twice", "x-absent", "X-Twice"]
const both = (request: Request) =>
  names.map((name) => [headerOf(request, name), request.headers.get(name)])
const expected = ["wait=1", "a, b", null, "a, b"].map((value) => [value, value])

describe("a header of a request", () => {
  it.live("is the same as `headers` says, on a request that the server received", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const server = Deno.serve(
        { port: 0, hostname: "127.0.0.1", onListen: () => {} },
        (request) => {
          seen.push(both(request), both(request))
          return new Response("ok")
        },
      )
      yield* Effect.promise(async () => {
        const response = await fetch(`http://127.0.0.1:${server.addr.port}/`, {
          headers: [["prefer", "wait=1"], ["x-twice", "a"], ["x-twice", "b"]],
        })
        await response.text()
        await server.shutdown()
      })
      expect(seen).toEqual([expected, expected])
    }))

  it("is the same as `headers` says, on a request made by hand", () => {
    const request = new Request("http://x/", {
      headers: [["prefer", "wait=1"], ["x-twice", "a"], ["x-twice", "b"]],
    })
    expect(both(request)).toEqual(expected)
  })
})

describe("the time that a client grants", () => {
  const cases: ReadonlyArray<[Record<string, string>, number]> = [
    [{}, 1000],
    [{ "request-timeout": "200" }, 200],
    [{ "request-timeout": "5000" }, 1000],
    [{ "request-timeout": "-1" }, 1000],
    [{ "request-timeout": "soon" }, 1000],
    [{ prefer: "wait=0" }, 1000],
    [{ prefer: "wait=1", "request-timeout": "300" }, 300],
    [{ prefer: "respond-async, wait=0", "request-timeout": "300" }, 300],
  ]
  for (const [headers, ms] of cases) {
    it(`of ${JSON.stringify(headers)} and a policy of 1000 ms is ${ms} ms`, () => {
      const request = HttpServerRequest.fromWeb(new Request("http://x/", { headers }))
      expect(allowedMs(request, 1000)).toBe(ms)
    })
  }
})
