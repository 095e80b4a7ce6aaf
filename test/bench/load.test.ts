import { describe, expect, it } from "@effect/vitest"
import { type Job, judge, parse, requestBytes } from "./load.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const job: Job = {
  port: 8080,
  method: "POST",
  path: "/orders",
  body: `{"name":"é"}`,
  connections: 1,
  seconds: 1,
  expect: { status: 200 },
}

describe("requestBytes", () => {
  it("counts the body in bytes", () => {
    expect(new TextDecoder().decode(requestBytes(job))).toBe(
      "POST /orders HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n" +
        `Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{"name":"é"}`,
    )
  })

  it("ends a request without a body after its head", () => {
    expect(new TextDecoder().decode(requestBytes({ ...job, method: "GET", body: undefined })))
      .toBe("GET /orders HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
  })
})

describe("parse", () => {
  const response = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\nvary: a\r\n\r\nabc"

  it("finds status, body and end", () => {
    expect(parse(bytes(response + "more"))).toEqual({
      status: 503,
      bodyStart: response.length - 3,
      end: response.length,
    })
  })

  it("waits for the rest wherever a response is cut", () => {
    for (let cut = 0; cut < response.length; cut++) {
      expect(parse(bytes(response.slice(0, cut)))).toBeUndefined()
    }
  })

  it("does not read a response of unknown length", () => {
    expect(parse(bytes("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")))
      .toBe("no Content-Length")
  })
})

describe("judge", () => {
  it("says nothing about what was expected", () => {
    expect(judge({ status: 200 }, 200, "a")).toBeNull()
    expect(judge({ status: 200, body: "a" }, 200, "a")).toBeNull()
    expect(judge({ status: 503, includes: ["QueueFull"] }, 503, `{"reason":"QueueFull"}`))
      .toBeNull()
  })

  it("names a wrong status, a wrong body and a missing part", () => {
    expect(judge({ status: 200 }, 503, "no")).toBe("status 503 instead of 200: no")
    expect(judge({ status: 200, body: "a" }, 200, "b")).toBe("body b instead of a")
    expect(judge({ status: 200, includes: ["a"] }, 200, "b")).toBe("body without a: b")
  })
})
