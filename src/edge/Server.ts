/**
 * `Deno.serve` as a scoped Effect `HttpServer`: every request runs in a fiber that the server owns.
 *
 * **Details** – *bounded by* `maxBodySize` bytes per request, and by the admission for requests of
 * the API (answers of the service itself, such as `/health`, are not admitted); *owned by* its layer:
 * closing it stops accepting, and waits a second for the requests that a drain has left.
 *
 * @module
 */
import { type ByteSize, type Cause, Context, Effect, Layer, Schema, Scope } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import { sizeBytes } from "../internal/setting.ts"
import { internalPlatform, renderPlatform } from "./answer.ts"
import type { Exchange } from "./exchange.ts"
import { CurrentFront } from "./front.ts"
import { makeHandler } from "./handler.ts"

const Fields = { hostname: Schema.String, port: Schema.Number, why: Schema.String } as const

const ListenErrorBase: Schema.Class<
  ListenError,
  Schema.TaggedStruct<"ListenError", typeof Fields>,
  Cause.YieldableError
> = Schema.TaggedError<ListenError>()("ListenError", Fields)

/**
 * The server could not listen.
 *
 * @category errors
 * @since 0.1.0
 */
export class ListenError extends ListenErrorBase {
  /** One sentence with the next step. */
  override get message(): string {
    return `Cannot listen on ${this.hostname}:${this.port}: ${this.why}`
  }
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Address to bind. Default `127.0.0.1`: other machines cannot reach it. */
  readonly hostname?: string
  /** Port, 0 for any free one. Default 8080. */
  readonly port?: number
  /** Largest request body. Default 1 MiB; larger ones are answered 413. */
  readonly maxBodySize?: ByteSize.Input
}

/**
 * What the drain needs of the server beside Effect's `HttpServer`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Server {
  /** Where it listens. */
  readonly hostname: string
  /** Where it listens. */
  readonly port: number
  /** Requests whose answer is not complete. */
  readonly inFlight: Effect.Effect<number>
  /** Stops accepting connections and waits until every request in flight has been answered. */
  readonly drain: Effect.Effect<void>
}

/**
 * The running server.
 *
 * @category services
 * @since 0.1.0
 */
export const Server: Context.Service<Server, Server> = Context.Service<Server>("weir/edge/Server")

const onlyForLayers: ReadonlyArray<string> = [
  Scope.Scope.key,
  Layer.CurrentMemoMap.key,
  HttpRouter.HttpRouter.key,
  HttpServer.HttpServer.key,
  Server.key,
  CurrentFront.key,
]

/**
 * Listens, and provides Effect's `HttpServer` and {@link Server}.
 *
 * **Details** – a request runs on the platform's stack until its handler suspends; one that does
 * not suspend costs no promise and no abort listener. From then on a client that leaves cancels the
 * fiber with `ClientAbort`. Failures, also the router's own 404, 405, 413 and 415, are answered as
 * RFC 9457 problems. Needs the Deno option `"unstable": ["no-legacy-abort"]`.
 *
 * **Fails with** – {@link ListenError} when the address cannot be bound.
 *
 * **Interruption** – does not wait.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {},
): Layer.Layer<HttpServer.HttpServer | Server, ListenError> =>
  Layer.effectContext(Effect.gen(function* () {
    const live = new Set<Exchange>()
    let handler: Deno.ServeHandler = starting
    const hostname = options.hostname ?? "127.0.0.1"
    const port = options.port ?? 8080
    const maxBodySize = sizeBytes("server.maxBodySize", options.maxBodySize, 1024 * 1024)
    let stopped: Promise<void> | undefined
    const server = yield* Effect.acquireRelease(
      Effect.try({
        try: () =>
          Deno.serve(
            { hostname, port, onListen: () => {}, onError: () => internalPlatform() },
            (request, info) => handler(request, info),
          ),
        catch: (error) => new ListenError({ hostname, port, why: why(error) }),
      }),
      // A drain that ran out of time has left a client that does not read, or work that does not
      // end; neither may hold up the layers below.
      (server) =>
        Effect.timeoutOption(Effect.promise(() => stopped ??= server.shutdown()), "1 second"),
    )
    const address = server.addr as Deno.NetAddr

    const http = HttpServer.make({
      address: NetAddress.inetAddressFromIpStringUnsafe(address.hostname, address.port),
      serve: (app, middleware) =>
        Effect.flatMap(Effect.context<Scope.Scope>(), (context) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              const previous = handler
              handler = makeHandler(
                app,
                requestContext(context),
                middleware,
                live,
                maxBodySize,
                Context.get(context, CurrentFront),
              )
              return previous
            }),
            (previous) =>
              Effect.sync(() => {
                handler = previous
              }),
          )),
    })
    return Context.make(HttpServer.HttpServer, http).pipe(Context.add(Server, {
      hostname: address.hostname,
      port: address.port,
      inFlight: Effect.sync(() => live.size),
      drain: Effect.promise(() => stopped ??= server.shutdown()),
    }))
  }))

/**
 * What a request's fiber starts with. Effect copies this context several times per request, so it
 * leaves out what only the construction of layers needs, and takes more overlays than the usual
 * eight before it is copied once more.
 */
const requestContext = (context: Context.Context<Scope.Scope>): Context.Context<Scope.Scope> => {
  const services = new Map(context.mapUnsafe)
  for (const key of onlyForLayers) services.delete(key)
  return Context.makeUnsafe(services, { maxDepth: 32 })
}

const starting = (): Response =>
  renderPlatform({
    slug: "starting",
    status: 503,
    title: "The service is starting",
    retryAfterMs: 1000,
  }, 0)

const why = (error: unknown): string => {
  if (error instanceof Deno.errors.AddrInUse) {
    return "address in use. Stop the other process, or set PORT (or server.port, where the program sets it) " +
      "to another one."
  }
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return "no permission. Choose a port above 1023 in PORT, or allow it with --allow-net."
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return "this machine has no such address. Choose 127.0.0.1 or an address of this machine in HOST."
  }
  const message = error instanceof Error ? error.message : String(error)
  if (message.startsWith("failed to lookup address")) {
    return `${message}. Write HOST as an address or a name of this machine, such as 127.0.0.1.`
  }
  return `${message}.`
}
