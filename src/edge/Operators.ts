/**
 * Who may look at the whole service and act on it: nobody from outside, unless a token says so.
 *
 * @module
 */
import { Config, Context, Effect, Layer, Option, Redacted } from "effect"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash, timingSafeEqual } from "node:crypto"
import { exchangeOf } from "./exchange.ts"
import * as Problem from "./Problem.ts"
import { Server } from "./Server.ts"

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The bearer token of operators; everybody needs it then, local or not. Default: the environment
   * variable `WEIR_OPERATOR_TOKEN`; none if that is not set or empty.
   */
  readonly token?: Redacted.Redacted<string>
}

/**
 * Tells operators from everybody else.
 *
 * @category models
 * @since 0.1.0
 */
export interface Operators {
  /** `undefined` for an operator, else the 401 or 403 to answer with. */
  readonly refuse: (request: HttpServerRequest.HttpServerRequest) => Problem.Problem | undefined
  /** Whether the request carries the right token. */
  readonly hasToken: (request: HttpServerRequest.HttpServerRequest) => boolean
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export const Operators: Context.Service<Operators, Operators> = Context.Service<Operators>(
  "weir/edge/Operators",
)

/**
 * The rule for this server.
 *
 * **Details** – with a token, a request needs `Authorization: Bearer <token>` (compared in constant
 * time), wherever it comes from. Without one, the server must be bound to a loopback address, and
 * the request must come from one, be addressed to `localhost` or a loopback address (a web page that
 * rebinds its own name is not), and carry no `Forwarded`, `X-Forwarded-*`, `X-Real-IP` or `Via`.
 *
 * **Gotchas** – a proxy on the same machine that adds none of these headers and rewrites `Host` looks
 * like a local user: set a token.
 *
 * **Fails with** – nothing; a token that cannot be read from the environment dies.
 *
 * **Interruption** – does not wait.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Operators, never, Server> =>
  Layer.effect(
    Operators,
    Effect.gen(function* () {
      const server = yield* Server
      const fromEnvironment = Option.getOrUndefined(
        yield* Effect.orDie(Config.option(Config.Redacted("WEIR_OPERATOR_TOKEN"))),
      )
      const token = Redacted.value(options.token ?? fromEnvironment ?? Redacted.make(""))
      return make(token === "" ? undefined : token, isLoopback(server.hostname))
    }),
  )

const make = (token: string | undefined, local: boolean): Operators => {
  const expected = token === undefined ? undefined : digest(token)
  const hasToken = (request: HttpServerRequest.HttpServerRequest): boolean => {
    const given = bearer(request)
    // Digests have one length, so that the time tells nothing about the token's.
    return expected !== undefined && given !== undefined &&
      timingSafeEqual(digest(given), expected)
  }
  return {
    hasToken,
    refuse: (request) => {
      if (expected !== undefined) {
        return hasToken(request) ? undefined : unauthorized(bearer(request) !== undefined)
      }
      if (!local) {
        return forbidden(
          "The service listens on an address that other machines can reach and has no operator " +
            "token. Set WEIR_OPERATOR_TOKEN and send it as `Authorization: Bearer`.",
        )
      }
      const why = notLocal(request)
      return why === undefined ? undefined : forbidden(
        `${why}, so it does not count as local. Set WEIR_OPERATOR_TOKEN and send it as ` +
          "`Authorization: Bearer`.",
      )
    },
  }
}

/**
 * Runs the effect for operators, and answers everybody else with the problem.
 *
 * **Fails with** – what the effect fails with.
 *
 * **Interruption** – interrupts the effect.
 *
 * @category combinators
 * @since 0.1.0
 */
export const guard = <E, R>(
  operators: Operators,
  request: HttpServerRequest.HttpServerRequest,
  effect: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> => {
  const refused = operators.refuse(request)
  return refused === undefined ? effect : Effect.succeed(Problem.render(refused, 0))
}

/** Why the request does not come from a user of this machine, as half a sentence. */
const notLocal = (request: HttpServerRequest.HttpServerRequest): string | undefined => {
  const peer = exchangeOf(request)?.info?.remoteAddr
  if (peer === undefined || !("hostname" in peer) || !isLoopback(peer.hostname)) {
    return "The request comes from another machine"
  }
  for (const name of Object.keys(request.headers)) {
    if (/^(forwarded|x-forwarded-.*|x-real-ip|via)$/.test(name)) {
      return `The request came through a proxy (it carries ${name})`
    }
  }
  return isLoopback(hostOf(request))
    ? undefined
    : "The request is addressed to a name that is not this machine's own"
}

const hostOf = (request: HttpServerRequest.HttpServerRequest): string => {
  const host = request.headers["host"] ?? ""
  return host.startsWith("[") ? host.slice(1, host.indexOf("]")) : host.split(":")[0]!
}

const isLoopback = (hostname: string): boolean =>
  /^(localhost\.?|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|::ffff:127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/i
    .test(hostname)

const bearer = (request: HttpServerRequest.HttpServerRequest): string | undefined =>
  /^bearer +(\S+) *$/i.exec(request.headers["authorization"] ?? "")?.[1]

const digest = (text: string): Uint8Array => createHash("sha256").update(text).digest()

const unauthorized = (tried: boolean): Problem.Problem => ({
  slug: "unauthorized",
  status: 401,
  title: "Operators only",
  detail: tried
    ? "The token is not the right one."
    : "Send the operator token as `Authorization: Bearer <token>`.",
  headers: {
    "www-authenticate": `Bearer realm="operators"${tried ? ', error="invalid_token"' : ""}`,
    "cache-control": "no-store",
  },
})

const forbidden = (detail: string): Problem.Problem => ({
  slug: "forbidden",
  status: 403,
  title: "Operators only",
  detail,
  headers: { "cache-control": "no-store" },
})
