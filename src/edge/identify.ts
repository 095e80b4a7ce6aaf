import { Cause, Effect, Option } from "effect"
import type { HttpServerRequest } from "effect/http"
import type { Caller } from "../admission/Caller.ts"
import { Peer } from "../admission/peer.ts"
import type { RateLimit } from "../admission/RateLimit.ts"
import { Refused } from "../bounded/Refused.ts"
import type { Compiled, Env, Handler } from "./compiled.ts"
import { type Exchange, exchangeOf } from "./exchange.ts"
import { header } from "./head.ts"
import * as Problem from "./Problem.ts"
import { Unauthenticated } from "./identity.ts"

/** Why nobody is known, when somebody should be. */
export class Verdict {
  readonly presented: boolean

  constructor(presented: boolean) {
    this.presented = presented
  }
}

/** There is no credential. */
const missing = new Verdict(false)
/** The credential is nobody's. */
const wrong = new Verdict(true)
/** Whose it is has to be looked up. */
export const unknown: Verdict = new Verdict(true)

/** The caller; `undefined` for somebody of whom nothing needs to be known. */
export type Seen = Caller | undefined | Verdict

type AnyRequest = HttpServerRequest.HttpServerRequest | Request

/**
 * Who calls, as far as that is known without waiting. Class and tenant are the key's; an endpoint
 * that asks for no key costs a comparison.
 */
export const see = (
  { policy: { auth } }: Compiled,
  { limits, principals }: Env,
  request: AnyRequest,
  info: Deno.ServeHandlerInfo | undefined,
  now: number,
): Seen => {
  if (auth !== "none") {
    const credential = credentialOf(request)
    if (credential !== undefined) {
      const found = principals!.recognize(credential, now)
      return found === undefined ? unknown : found === "wrong" ? wrong : found
    }
    if (auth === "required") return missing
  }
  return limits !== undefined && limits.peers ? peerOf(request, info) : undefined
}

/**
 * Goes on with the caller, waiting for a look-up if need be; `wait` makes that interruptible. Who is
 * not let in is answered here, and counted.
 */
export const identify = <E>(
  endpoint: Compiled,
  env: Env,
  request: HttpServerRequest.HttpServerRequest,
  now: number,
  wait: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>,
  then: (caller: Caller | undefined) => Handler<E>,
): Handler<E> => {
  const exchange = exchangeOf(request)
  const seen = met(endpoint, exchange?.caller) ?? see(endpoint, env, request, exchange?.info, now)
  if (!(seen instanceof Verdict)) {
    tell(exchange, env.limits, seen)
    return then(seen)
  }
  if (seen !== unknown) {
    endpoint.refused("Unauthenticated")
    return Problem.fromCause(Cause.fail(new Unauthenticated(seen))) as Handler<E>
  }
  const peer = peerOf(request, exchange?.info)?.id
  const asked = env.principals!.authenticate(credentialOf(request)!, peer)
  return Effect.matchCauseEffect(wait(asked), {
    onFailure: (cause) => {
      const error = cause.reasons.find(Cause.isFailReason)?.error
      if (error instanceof Unauthenticated) endpoint.refused("Unauthenticated")
      else if (error instanceof Refused) endpoint.refused(error.reason)
      else endpoint.lost(Cause.hasDies(cause) ? 500 : 503)
      return Problem.fromCause(cause) as Handler<E>
    },
    onSuccess: (caller) => {
      tell(exchange, env.limits, caller)
      return then(caller)
    },
  })
}

/**
 * Whom an earlier door has met, where that is enough: an address is nobody's key, and stands for
 * nobody where a key may or must be shown.
 */
const met = ({ policy: { auth } }: Compiled, caller: Caller | undefined): Caller | undefined =>
  auth !== "none" && caller instanceof Peer ? undefined : caller

/** Whatever the answer will be, it says what is left of the caller's limits. */
export const tell = (
  exchange: Exchange | undefined,
  limits: RateLimit | undefined,
  caller: Caller | undefined,
): void => {
  if (exchange === undefined || limits === undefined || caller === undefined) return
  exchange.caller = caller
  exchange.limits = limits
}

/** `Authorization: Bearer`, else `X-API-Key`. */
export const credentialOf = (request: AnyRequest): string | undefined => {
  const authorization = header(request, "authorization")
  if (authorization !== null && authorization.length > 7) {
    const scheme = authorization.slice(0, 7)
    if (scheme === "Bearer " || scheme.toLowerCase() === "bearer ") {
      return authorization.slice(7).trim()
    }
  }
  return header(request, "x-api-key") ?? undefined
}

/** The address of the socket. */
export const peerOf = (
  request: AnyRequest,
  info: Deno.ServeHandlerInfo | undefined,
): Peer | undefined => {
  try {
    if (info !== undefined) {
      const { remoteAddr } = info
      return "hostname" in remoteAddr ? new Peer(remoteAddr.hostname) : undefined
    }
    const address = request instanceof Request ? Option.none() : request.remoteAddress
    return Option.isSome(address) ? new Peer(address.value) : undefined
  } catch {
    // The client has left, and the platform has forgotten it.
    return undefined
  }
}
