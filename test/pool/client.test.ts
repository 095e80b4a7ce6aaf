import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schedule, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest, HttpServerRequest } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Deadline, Dependency, Policy, Server, Service, Supervised } from "@weir/runtime"
import { fork, fresh, tally, word } from "./support.ts"

type Answer = (request: Request, n: number) => Response | Promise<Response>

/** A server in this process, over a real socket; what it answers can be changed while it runs. */
const serve = (answer: Answer) =>
  Effect.gen(function* () {
    const state = { answer, requests: 0, aborted: 0 }
    const server = yield* Effect.acquireRelease(
      Effect.sync(() =>
        Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
          request.signal.addEventListener("abort", () => state.aborted++)
          return state.answer(request, state.requests++)
        })
      ),
      (server) =>
        Effect.promise(() => server.shutdown()).pipe(Effect.timeout("5 seconds"), Effect.orDie),
    )
    return Object.assign(state, { url: `http://127.0.0.1:${server.addr.port}/` })
  })

/** Answers when its client has left. */
const hang = (request: Request): Promise<Response> =>
  new Promise((answer) => request.signal.addEventListener("abort", () => answer(new Response())))

const make = (options: Partial<Dependency.Options> = {}) =>
  Dependency.make({ name: "prices", retry: { schedule: Schedule.spaced(5) }, ...options })

const client = (prices: Dependency.Dependency, options?: Dependency.ClientOptions) =>
  Effect.map(HttpClient.HttpClient, (self) => prices.client(self, options))

const live = <A, E>(body: Effect.Effect<A, E, HttpClient.HttpClient | Scope>) =>
  fresh(Effect.scoped(body)).pipe(Effect.provide(FetchHttpClient.layer))

type Scope = import("effect").Scope.Scope

const problem = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  })

describe("a client of a dependency", () => {
  it.live("returns the last answer as it came, also a failure", () =>
    live(Effect.gen(function* () {
      const server = yield* serve((_, n) => new Response(`${n}`, { status: n < 4 ? 503 : 200 }))
      const prices = yield* make()
      const http = yield* client(prices)
      const first = yield* http.get(server.url)
      expect([first.status, yield* first.text, server.requests]).toEqual([503, "2", 3])
      const second = yield* http.get(server.url)
      expect([second.status, yield* second.text]).toEqual([200, "4"])
      const { attempts, breaker } = yield* prices.stats
      expect(attempts).toEqual({ first: 2, retry: 3, hedge: 0 })
      expect(breaker.failureRate).toBe(0.8)
    })))

  it.live("sends again only what may be sent twice", () =>
    live(Effect.gen(function* () {
      const server = yield* serve(() => new Response(null, { status: 500 }))
      const prices = yield* make({ budget: { minimum: 100 }, breaker: false })
      const http = yield* client(prices)
      const sent = (request: HttpClientRequest.HttpClientRequest, http_ = http) =>
        Effect.gen(function* () {
          const before = server.requests
          yield* http_.execute(request)
          return server.requests - before
        })
      const { url } = server
      const key = HttpClientRequest.setHeader("idempotency-key", "k1")
      expect([
        yield* sent(HttpClientRequest.get(url)),
        yield* sent(HttpClientRequest.put(url)),
        yield* sent(HttpClientRequest.delete(url)),
        yield* sent(HttpClientRequest.post(url)),
        yield* sent(HttpClientRequest.patch(url)),
        yield* sent(key(HttpClientRequest.post(url))),
        yield* sent(HttpClientRequest.post(url), yield* client(prices, { idempotent: () => true })),
      ]).toEqual([3, 3, 3, 1, 1, 3, 3])
    })))

  it.live("honours what the answer says about trying again", () =>
    live(Effect.gen(function* () {
      const server = yield* serve(() => new Response())
      const prices = yield* make({ budget: { minimum: 1000 }, breaker: false, throttle: false })
      const http = yield* client(prices)
      const tries = (answer: () => Response, deadline = 5000) =>
        Effect.gen(function* () {
          server.requests = 0
          server.answer = answer
          const since = Date.now()
          const { status } = yield* http.get(server.url).pipe(Deadline.within(deadline))
          return [status, server.requests, Date.now() - since] as const
        })
      const status = (status: number, headers: Record<string, string> = {}) => () =>
        new Response(null, { status, headers })
      const requests = <A, B>(all: readonly [A, number, B]) => all[1]
      expect(requests(yield* tries(status(404)))).toBe(1)
      expect(requests(yield* tries(status(501)))).toBe(1)
      expect(requests(yield* tries(status(503, { "x-should-retry": "false" })))).toBe(1)
      expect(requests(yield* tries(status(409, { "x-should-retry": "true" })))).toBe(1)
      // A minute is more than anybody waits here.
      expect(requests(yield* tries(status(429, { "retry-after": "60" })))).toBe(1)
      const later = new Date(Date.now() + 3_600_000).toUTCString()
      expect(requests(yield* tries(status(503, { "retry-after": later })))).toBe(1)
      // A date that has passed is no reason to wait.
      const before = new Date(Date.now() - 60_000).toUTCString()
      expect(requests(yield* tries(status(503, { "retry-after": before })))).toBe(3)
      const once = yield* tries(status(429, { "retry-after": "1" }), 1500)
      expect([once[1], once[2] >= 1000]).toEqual([2, true])
      const refused = (reason: string) => () =>
        problem(503, { type: "urn:weir:problem:refused", reason, retryAfterMs: 1 })
      // Milliseconds go before whole seconds, in which all who were refused at once come back at once.
      const both = yield* tries(
        () =>
          problem(503, { type: "urn:weir:problem:refused", retryAfterMs: 20 }, {
            "retry-after": "5",
          }),
        1500,
      )
      expect(requests(both)).toBe(3)
      expect(requests(yield* tries(refused("Infeasible")))).toBe(1)
      expect(requests(yield* tries(refused("Late")))).toBe(1)
      expect(requests(yield* tries(refused("QueueFull")))).toBe(3)
      expect(
        requests(yield* tries(() => problem(504, { type: "urn:weir:problem:deadline-exceeded" }))),
      ).toBe(1)
    })))

  it.live("reads the body of a small problem, which its caller can still read", () =>
    live(Effect.gen(function* () {
      const body = { type: "urn:weir:problem:refused", reason: "Late" }
      const server = yield* serve(() => problem(503, body))
      const http = yield* client(yield* make())
      const response = yield* http.get(server.url)
      expect(yield* response.json).toEqual(body)
    })))

  it.live("takes a connection that fails for a failure of the dependency", () =>
    live(Effect.gen(function* () {
      const prices = yield* make({ breaker: { minimumCalls: 2 } })
      const http = yield* client(prices)
      const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" })
      const { port } = listener.addr
      listener.close()
      const call = Effect.map(Effect.exit(http.post(`http://127.0.0.1:${port}/`)), word)
      expect([yield* call, yield* call, yield* call])
        .toEqual(["HttpClientError", "HttpClientError", "BreakerOpen"])
    })))

  it.live("does not wait for the body of an answer that it will not use", () =>
    live(Effect.gen(function* () {
      const stuck = (headers: Record<string, string>) =>
        new Response(new ReadableStream(), { status: 503, headers })
      const server = yield* serve((_, n) =>
        n === 0 ? stuck({ "content-length": "10" }) : n === 1 ? stuck({}) : new Response("third")
      )
      const prices = yield* make()
      const http = yield* client(prices)
      const answer = yield* http.get(server.url).pipe(Effect.timeout("10 seconds"))
      expect([yield* answer.text, server.requests]).toEqual(["third", 3])
      yield* Effect.sleep(1).pipe(
        Effect.repeat({ until: () => server.aborted === 2 }),
        Effect.timeout("5 seconds"),
      )
    })))

  it.live("ends a request that hangs, at the server too", () =>
    live(Effect.gen(function* () {
      const server = yield* serve(hang)
      const prices = yield* make({ timeout: 50 })
      const http = yield* client(prices)
      expect(word(yield* Effect.exit(http.post(server.url)))).toBe("DeadlineExceeded")
      yield* Effect.sleep(1).pipe(
        Effect.repeat({ until: () => server.aborted === 1 }),
        Effect.timeout("5 seconds"),
      )
      expect((yield* prices.stats).inUse).toBe(0)
    })))

  it.live("hedges a slow answer, and aborts the loser", () =>
    live(Effect.gen(function* () {
      const server = yield* serve(() =>
        new Promise((answer) => setTimeout(() => answer(new Response("quick")), 5))
      )
      const prices = yield* make({ hedge: true, budget: { minimum: 100 } })
      const http = yield* client(prices)
      for (let i = 0; i < 30; i++) yield* http.get(server.url)
      server.requests = 0
      // The machine may have been slow before, and so a loser been aborted: this one counts.
      let aborted = false
      server.answer = (request, n) => {
        if (n > 0) return new Response("second")
        request.signal.addEventListener("abort", () => aborted = true)
        return hang(request)
      }
      const response = yield* http.get(server.url)
      expect(yield* response.text).toBe("second")
      yield* Effect.sleep(1).pipe(
        Effect.repeat({ until: () => aborted }),
        Effect.timeout("5 seconds"),
      )
      expect((yield* prices.stats).inUse).toBe(0)
    })))

  it.live(
    "fails, is left alone, and is found again: amplification, recovery",
    () =>
      live(Effect.gen(function* () {
        const server = yield* serve(() => new Response("ok"))
        const prices = yield* make({ timeout: 500, breaker: { openFor: 100 }, throttle: false })
        const http = yield* client(prices)
        const wave = (n: number) =>
          Effect.gen(function* () {
            server.requests = 0
            const fibers = []
            for (let i = 0; i < n; i++) {
              fibers.push(
                yield* fork(Effect.exit(Effect.flatMap(
                  http.get(server.url),
                  (response) => Effect.map(response.text, () => response.status),
                ))),
              )
              if (i % 10 === 0) yield* Effect.sleep(1)
            }
            const exits = yield* Effect.forEach(fibers, Fiber.join)
            return exits.map((exit) => exit._tag === "Success" ? String(exit.value) : word(exit))
          })
        expect(tally(yield* wave(100))).toEqual({ 200: 100 })
        for (
          const broken of [
            () => new Response("down", { status: 503 }),
            hang,
          ]
        ) {
          server.answer = broken
          const words = tally(yield* wave(500))
          expect(words["200"]).toBe(undefined)
          expect(words["BreakerOpen"]).toBeGreaterThan(0)
          expect(server.requests / 500).toBeLessThan(1.1)
          expect((yield* prices.stats).breaker.phase).not.toBe("closed")
          server.answer = () => new Response("ok")
          const recovered = Effect.map(wave(1), ([status]) => status === "200")
          yield* Effect.andThen(Effect.sleep(5), recovered).pipe(
            Effect.repeat({ until: (ok) => ok }),
            Effect.timeout("5 seconds"),
          )
          yield* Effect.sleep(5).pipe(
            Effect.andThen(wave(3)),
            Effect.repeat({ until: (words) => words.every((each) => each === "200") }),
            Effect.timeout("5 seconds"),
          )
          expect(tally(yield* wave(50))).toEqual({ 200: 50 })
        }
      })),
    30_000,
  )
})

class Inner extends HttpApi.make("inner").add(
  HttpApiGroup.make("inner").add(
    HttpApiEndpoint.get("left", "/left", {
      success: Schema.Struct({ left: Schema.Finite, trace: Schema.String }),
    }),
  ).annotate(Policy.Policy, { deadline: "10 seconds" }),
).middleware(Supervised.Supervised) {}

class Outer extends HttpApi.make("outer").add(
  HttpApiGroup.make("outer").add(
    HttpApiEndpoint.get("ask", "/ask", {
      success: Schema.Struct({
        left: Schema.Finite,
        inner: Schema.Struct({ left: Schema.Finite, trace: Schema.String }),
      }),
    }),
  ).annotate(Policy.Policy, { deadline: "5 seconds", uses: ["prices"] }),
).middleware(Supervised.Supervised) {}

type Client = ReturnType<Dependency.Dependency["client"]>

class Prices extends Context.Service<Prices, Client>()("test/Prices") {
  static readonly layer = Layer.effect(Prices, Effect.flatMap(make(), client)).pipe(
    Layer.provide(FetchHttpClient.layer),
  )
}

const remaining = Effect.flatMap(
  Deadline.current,
  (deadline) =>
    Effect.map(
      Effect.sync(() => Date.now()),
      (now) => (deadline._tag === "Some" ? deadline.value : Infinity) - now,
    ),
)

it.live("a deadline and a trace go over two hops, and the deadline shrinks", () =>
  live(Effect.gen(function* () {
    const inner = HttpApiBuilder.group(
      Inner,
      "inner",
      (handlers) =>
        handlers.handle("left", () =>
          Effect.gen(function* () {
            const { headers } = yield* HttpServerRequest.HttpServerRequest
            return { left: yield* remaining, trace: headers["traceparent"] ?? "" }
          })),
    )
    const below = yield* Layer.build(
      Service.layer(Inner, { handlers: inner, server: { port: 0 } }),
    )
    const url = `http://127.0.0.1:${Context.get(below, Server.Server).port}/left`
    const outer = HttpApiBuilder.group(
      Outer,
      "outer",
      Effect.fnUntraced(function* (handlers) {
        const http = yield* Prices
        return handlers.handle("ask", () =>
          Effect.gen(function* () {
            const left = yield* remaining
            yield* Effect.sleep(30)
            const response = yield* Effect.orDie(http.get(url))
            const inner = yield* Effect.orDie(response.json)
            return { left, inner: inner as { readonly left: number; readonly trace: string } }
          }))
      }),
    )
    const above = yield* Layer.build(
      Service.layer(Outer, {
        handlers: outer,
        server: { port: 0 },
        resources: Prices.layer,
      }),
    )
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    const answer = yield* Effect.promise(async () => {
      const response = await fetch(
        `http://127.0.0.1:${Context.get(above, Server.Server).port}/ask`,
        {
          headers: { "request-timeout": "2000", traceparent: `00-${trace}-00f067aa0ba902b7-01` },
        },
      )
      return await response.json()
    })
    expect(answer.left).toBeGreaterThan(0)
    expect(answer.left).toBeLessThanOrEqual(2000)
    expect(answer.inner.left).toBeGreaterThan(0)
    expect(answer.inner.left).toBeLessThanOrEqual(answer.left - 29)
    expect(answer.inner.trace.split("-")[1]).toBe(trace)
  })))
