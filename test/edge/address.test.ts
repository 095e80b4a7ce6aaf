import { expect, it } from "@effect/vitest"
import { Policy, Server, Service, Supervised } from "@weir/runtime"
import { Context, Deferred, Effect, Layer, Option, Schema } from "effect"
import type { HttpServerRequest } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

const addresses = ({ peerAddress, remoteAddress }: HttpServerRequest.HttpServerRequest) =>
  [remoteAddress, peerAddress].map(Option.getOrElse(() => "none")).join(" ")

const get = <const Name extends string>(name: Name) =>
  HttpApiEndpoint.get(name, `/${name}`, { success: Schema.String })

class Api extends HttpApi.make("who").add(
  HttpApiGroup.make("who").add(
    get("here"),
    get("moved"),
    get("forwarded"),
    get("gone"),
    get("later").annotate(Policy.Policy, { async: "allowed" }),
  ),
).middleware(Supervised.Supervised) {}

const started = Deferred.makeUnsafe<void>()
const seen = Deferred.makeUnsafe<HttpServerRequest.HttpServerRequest>()

const handlers = HttpApiBuilder.group(Api, "who", (handlers) =>
  Effect.succeed(handlers.handleAll({
    here: ({ request }) => Effect.succeed(addresses(request)),
    moved: ({ request }) => Effect.succeed(addresses(request.modify({ url: "/elsewhere" }))),
    forwarded: ({ request }) =>
      Effect.succeed(addresses(request.modify({
        remoteAddress: Option.some("192.0.2.7"),
        peerAddress: request.peerAddress,
      }))),
    later: ({ request }) => Effect.succeed(addresses(request)),
    gone: ({ request }) =>
      Effect.onInterrupt(
        Effect.andThen(Deferred.succeed(started, undefined), Effect.never),
        () => Deferred.succeed(seen, request),
      ),
  })))

it.live("a handler sees the address of the client, also through a rewrite and a proxy", () =>
  Effect.gen(function* () {
    const { port } = Context.get(
      yield* Layer.build(
        Service.layer(Api, { handlers, server: { port: 0 } }),
      ),
      Server.Server,
    )
    const ask = (path: string, headers: HeadersInit = {}) =>
      Effect.promise(() =>
        fetch(`http://127.0.0.1:${port}/${path}`, { headers }).then((response) => response.json())
      )
    expect(yield* ask("here")).toBe("127.0.0.1 127.0.0.1")
    expect(yield* ask("moved")).toBe("127.0.0.1 127.0.0.1")
    expect(yield* ask("forwarded")).toBe("192.0.2.7 127.0.0.1")
    // Done at once, so it is answered directly, but as work that could outlive the connection.
    expect(yield* ask("later", { prefer: "respond-async, wait=10" })).toBe("127.0.0.1 127.0.0.1")

    const client = new AbortController()
    const aborted = fetch(`http://127.0.0.1:${port}/gone`, { signal: client.signal })
      .then(() => "answered", () => "aborted")
    yield* Deferred.await(started)
    client.abort()
    expect(yield* Effect.promise(() => aborted)).toBe("aborted")
    // Who asks when the platform has forgotten the client gets no address, and no defect.
    expect(addresses(yield* Deferred.await(seen))).toMatch(/^(127\.0\.0\.1|none) /)
  }).pipe(Effect.scoped))
