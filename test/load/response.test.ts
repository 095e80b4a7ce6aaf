import { describe, expect, it } from "@effect/vitest"
import { random } from "../support/random.ts"
import { requestBytes } from "./request.ts"
import { reasonOf, ResponseReader } from "./response.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const read = (text: string) => {
  const reader = new ResponseReader()
  return { reader, state: reader.feed(bytes(text)) }
}

const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
  '6;note=x\r\n{"a":"\r\n3\r\nü!\r\n2\r\n"}\r\n0\r\nTrailer: 1\r\n\r\n'
const responses: ReadonlyArray<readonly [string, number, string]> = [
  ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"],
  [chunked, 200, '{"a":"ü!"}'],
  ["HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", 204, ""],
  ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length:0\r\n\r\n", 201, ""],
  ["HTTP/1.1 503 \r\nretry-after: 2\r\nContent-Length: 2\r\n\r\n{}", 503, "{}"],
]

describe("reading a response", () => {
  it("finds status and body, however the bytes arrive", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const next = random(seed)
      for (const [text, status, body] of responses) {
        const reader = new ResponseReader()
        const all = bytes(text)
        let at = 0, state = "more"
        while (at < all.length) {
          expect(state, `seed ${seed}: ${text}`).toBe("more")
          const to = Math.min(all.length, at + 1 + Math.floor(next() * 20))
          state = reader.feed(all.subarray(at, to))
          at = to
        }
        expect([state, reader.status, reader.body], `seed ${seed}`).toEqual(["done", status, body])
      }
    }
  })

  it("reads a body without a length up to the end of the connection", () => {
    const { reader, state } = read("HTTP/1.1 200 OK\r\n\r\nhel")
    expect(state).toBe("more")
    expect(reader.feed(bytes("lo"))).toBe("more")
    expect(reader.end()).toBe("done")
    expect([reader.body, reader.keepAlive]).toEqual(["hello", false])
  })

  it("tells a response that was cut from one that has ended", () => {
    expect(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell").reader.end()).toBe("cut")
    expect(new ResponseReader().end()).toBe("cut")
  })

  it("knows whether the connection can be used again", () => {
    const keeps = (head: string) => read(`${head}\r\nContent-Length: 0\r\n\r\n`).reader.keepAlive
    expect(keeps("HTTP/1.1 200 OK")).toBe(true)
    expect(keeps("HTTP/1.1 200 OK\r\nConnection: close")).toBe(false)
    expect(keeps("HTTP/1.0 200 OK")).toBe(false)
    expect(keeps("HTTP/1.0 200 OK\r\nConnection: keep-alive")).toBe(true)
  })

  it("reads Retry-After in seconds and leaves a date alone", () => {
    const after = (value: string) =>
      read(`HTTP/1.1 503 x\r\nRetry-After: ${value}\r\nContent-Length: 0\r\n\r\n`).reader
        .retryAfterMs
    expect(after("2")).toBe(2000)
    expect(after("Wed, 21 Oct 2026 07:28:00 GMT")).toBeNaN()
  })

  it("rejects what is no response, and more than one", () => {
    for (
      const text of [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabHTTP/1.1 200 OK\r\n",
      ]
    ) expect(read(text).state, text).toBe("bad")
  })

  it("reads the next one after a reset", () => {
    const { reader } = read(chunked)
    reader.reset()
    expect(reader.begun).toBe(false)
    expect(reader.feed(bytes(responses[0]![0]))).toBe("done")
    expect(reader.body).toBe("hello")
  })

  it("takes the reason of a refusal from its body, else from its status", () => {
    expect(reasonOf(503, '{"type":"x","reason":"Infeasible"}')).toBe("Infeasible")
    expect(reasonOf(429, "slow down")).toBe("HTTP 429")
  })
})

describe("the bytes of a request", () => {
  it("name the host and carry headers and body", () => {
    const text = new TextDecoder().decode(requestBytes(
      { method: "POST", path: "/a?b=1", headers: { "x-api-key": "k" }, body: "ü" },
      "127.0.0.1",
      8080,
    ))
    expect(text).toBe(
      "POST /a?b=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nx-api-key: k\r\n" +
        "Content-Type: application/json\r\nContent-Length: 2\r\n\r\nü",
    )
  })
})
