import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { TestClock } from "effect/testing"
import { Refused } from "@weir/runtime"
import { told } from "../../src/edge/limits.ts"
import { parseList } from "../support/fields.ts"
import { type Answer, Api, ask, serve } from "./support/doors.ts"

const grant = { name: "ada", tenant: "engines" } as const

const fieldsOf = ({ headers }: Answer) => ({
  limit: parseList(headers["ratelimit"]!),
  policy: parseList(headers["ratelimit-policy"]!),
})

describe("limits", () => {
  it.live("are told on every answer to a caller that has one, whatever the answer is", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve({ limits: { tenant: { requests: 900, per: "1 hour" } } })
      const limit = { requests: 100, per: "1 minute", burst: 50 } as const
      const { key } = yield* keys.create({ ...grant, limit })
      const answers: ReadonlyArray<readonly [string, number, RequestInit?]> = [
        ["/mine", 200],
        ["/maybe", 200],
        ["/mine", 200, { method: "HEAD" }],
        ["/stream", 200],
        ["/empty", 204],
        ["/query?n=x", 400],
        ["/taken", 409],
        ["/dies", 500],
        ["/full", 503],
        ["/slow", 504],
        ["/later", 200, { method: "POST" }],
        ["/later", 202, { method: "POST", headers: { prefer: "respond-async" } }],
        ["/later", 200, { method: "POST", headers: { prefer: "respond-async, wait=5" } }],
      ]
      let calls = 0
      for (let time = 0; time < 2; time++) {
        for (const [path, status, init] of answers) {
          const answer = yield* ask(url + path, key, init)
          calls++
          expect([path, answer.status]).toEqual([path, status])
          const { limit, policy } = fieldsOf(answer)
          expect(policy).toEqual([
            { value: "principal", parameters: { q: 100, w: 60 } },
            { value: "tenant", parameters: { q: 900, w: 3600 } },
          ])
          expect(limit.map(({ value }) => value)).toEqual(["principal", "tenant"])
          // Each call costs one, and what has come back meanwhile is some more.
          expect(limit[0]!.parameters["r"]).toBeGreaterThanOrEqual(50 - calls)
          expect(limit[0]!.parameters["r"]).toBeLessThan(50)
          expect(limit[1]!.parameters["r"]).toBeGreaterThanOrEqual(900 - calls)
        }
      }
    }).pipe(Effect.scoped))

  it.live("are told to nobody who has none", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve()
      const free = yield* keys.create(grant)
      const none = yield* keys.create({ ...grant, limit: "none" })
      for (const [path, key] of [["/mine", free.key], ["/mine", none.key], ["/open", free.key]]) {
        const answer = yield* ask(`${url}${path}`, key)
        expect(answer.status).toBe(200)
        expect(answer.headers["ratelimit"]).toBeUndefined()
        expect(answer.headers["ratelimit-policy"]).toBeUndefined()
      }
      expect((yield* ask(`${url}/mine`)).headers["ratelimit"]).toBeUndefined()
    }).pipe(Effect.scoped))

  it.effect("hold what they promise: after Retry-After, and after t, the next call is admitted", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve()
      const limit = { requests: 7, per: "1 minute", burst: 3 } as const
      const { key, stored } = yield* keys.create({ ...grant, limit })
      let refused = 0
      for (let step = 0; step < 60; step++) {
        const answer = yield* ask(`${url}/mine`, key)
        const [own] = fieldsOf(answer).limit
        const { r, t } = own!.parameters as { readonly r: number; readonly t: number }
        if (answer.status === 200) {
          if (r > 0 || step % 2 === 0) continue
          // A promise kept a second early would be no promise.
          yield* TestClock.adjust(`${t - 1} seconds`)
          expect((yield* ask(`${url}/mine`, key)).status).toBe(429)
          yield* TestClock.adjust("1 second")
          continue
        }
        refused++
        expect(answer.status).toBe(429)
        const problem = JSON.parse(answer.text)
        const after = Number(answer.headers["retry-after"])
        expect(after).toBe(Math.ceil(problem.retryAfterMs / 1000))
        expect([r, t]).toEqual([0, after])
        expect(problem).toEqual({
          type: "urn:weir:problem:rate-limited",
          title: "Refused: your quota is used up",
          status: 429,
          detail: 'rate-limit "principal": the caller has used up its quota',
          reason: "RateLimited",
          kind: "rate-limit",
          resource: "principal",
          inUse: 3,
          capacity: 3,
          waiting: 0,
          predictedWaitMs: 0,
          retryAfterMs: problem.retryAfterMs,
        })
        expect(answer.text).not.toContain(stored.id)
        yield* TestClock.adjust(`${problem.retryAfterMs} millis`)
        expect((yield* ask(`${url}/mine`, key)).status).toBe(200)
      }
      expect(refused).toBeGreaterThan(0)
    }).pipe(Effect.scoped))

  it.effect("cost nothing where capacity refuses", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve({
        limits: { principal: { requests: 2, per: "1 minute" } },
      })
      const { key } = yield* keys.create(grant)
      for (let time = 0; time < 5; time++) {
        const refused = yield* ask(`${url}/full`, key)
        expect(refused.status).toBe(503)
        expect(fieldsOf(refused).limit[0]!.parameters).toEqual({ r: 2 })
      }
      const status = Effect.map(ask(`${url}/mine`, key), (answer) => answer.status)
      expect([yield* status, yield* status, yield* status]).toEqual([200, 200, 429])
      // Over the limit, the limit answers: it is asked first.
      expect((yield* ask(`${url}/full`, key)).status).toBe(429)
    }).pipe(Effect.scoped))

  it.effect("in the mode quota: dark let in, and count as what would be refused", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve({
        limits: { principal: { requests: 2, per: "1 minute" } },
        modes: { quota: "dark" },
      })
      const { key } = yield* keys.create(grant)
      for (let time = 0; time < 5; time++) {
        expect((yield* ask(`${url}/mine`, key)).status).toBe(200)
      }
      const { text } = yield* ask(`${url}/saturation`)
      const things: ReadonlyArray<Record<string, unknown>> = JSON.parse(text).bounded
      const { refused, wouldRefuse } = things.find(({ name }) => name === "rate-limit principal")!
      expect(refused).toMatchObject({ RateLimited: 0 })
      expect(wouldRefuse).toMatchObject({ RateLimited: 3 })
    }).pipe(Effect.scoped))

  it.effect("refuse with 429, also what is answered later, and a typed client knows why", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve({
        limits: { principal: { requests: 2, per: "1 minute" } },
      })
      const { key } = yield* keys.create(grant)
      expect((yield* ask(`${url}/mine`, key)).status).toBe(200)
      expect((yield* ask(`${url}/mine`, key)).status).toBe(200)
      const init = { method: "POST", headers: { prefer: "respond-async" } }
      for (let time = 0; time < 3; time++) {
        const answer = yield* ask(`${url}/mine`, key)
        expect([answer.status, answer.headers["retry-after"]]).toEqual([429, "30"])
        const later = yield* ask(`${url}/later`, key, init)
        expect([later.status, later.headers["retry-after"]]).toEqual([429, "30"])
        expect(fieldsOf(later)).toEqual(fieldsOf(answer))
      }
      const client = yield* HttpApiClient.make(Api, {
        baseUrl: url,
        transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(key)),
      })
      const error = yield* Effect.flip(client.doors.mine())
      expect(error).toBeInstanceOf(Refused.Refused)
      expect(error).toMatchObject({ reason: "RateLimited", retryAfterMs: 30_000 })
      // Others are not concerned.
      const other = yield* keys.create(grant)
      expect((yield* ask(`${url}/mine`, other.key)).status).toBe(200)
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.scoped))

  it.effect("count those without a key by their address, when that is asked for", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve({ limits: { peer: { requests: 2, per: "1 minute" } } })
      const forwarded = (n: number) => ({ headers: { "x-forwarded-for": `192.0.2.${n}` } })
      const first = yield* ask(`${url}/open`)
      expect(fieldsOf(first).limit).toEqual([{ value: "peer", parameters: { r: 1, t: 30 } }])
      expect((yield* ask(`${url}/maybe`, undefined, forwarded(1))).status).toBe(200)
      // A header is no other address.
      for (let n = 2; n < 5; n++) {
        expect((yield* ask(`${url}/open`, undefined, forwarded(n))).status).toBe(429)
      }
      const { key } = yield* keys.create(grant)
      expect((yield* ask(`${url}/maybe`, key)).status).toBe(200)
      // Health is no endpoint of the API.
      expect((yield* ask(`${url}/health/live`)).status).toBe(200)
    }).pipe(Effect.scoped))

  it.effect("can be changed by a handler", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve({
        limits: { principal: { requests: 1, per: "1 minute" } },
      })
      const { key } = yield* keys.create(grant)
      const status = Effect.map(ask(`${url}/mine`, key), (answer) => answer.status)
      expect([yield* status, yield* status]).toEqual([200, 429])
      expect((yield* ask(`${url}/raise`, undefined, { method: "POST" })).status).toBe(200)
      expect([yield* status, yield* status]).toEqual([200, 200])
      expect(fieldsOf(yield* ask(`${url}/mine`, key)).policy)
        .toEqual([{ value: "principal", parameters: { q: 100, w: 60 } }])
    }).pipe(Effect.scoped))

  it("are told also in a response that cannot be changed", async () => {
    const listener = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      () => new Response("from afar", { status: 203, headers: { "x-own": "yes" } }),
    )
    const fetched = await fetch(`http://127.0.0.1:${listener.addr.port}`)
    const fields = { limit: '"a";r=1', policy: '"a";q=1;w=1' }
    const answer = told(fetched, { fields: () => fields } as never, undefined)
    expect([answer.status, answer.headers.get("x-own"), await answer.text()])
      .toEqual([203, "yes", "from afar"])
    expect(answer.headers.get("ratelimit")).toBe(fields.limit)
    expect(answer.headers.get("ratelimit-policy")).toBe(fields.policy)
    await listener.shutdown()
  })
})
