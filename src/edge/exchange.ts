import type { Context, Effect, Fiber } from "effect"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Caller } from "../admission/Caller.ts"
import type { RateLimit } from "../admission/RateLimit.ts"
import type { CancelReason } from "../task/CancelReason.ts"
import type { TaskRecord } from "../task/record.ts"
import type { Door } from "./door.ts"
import { told } from "./limits.ts"

/** A request that was admitted at its route. */
export interface Entered {
  readonly start: <E>(
    fiber: Fiber.Fiber<unknown, unknown>,
    exchange: Exchange | undefined,
    inner: Effect.Effect<HttpServerResponse.HttpServerResponse, E, unknown>,
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, unknown>
  /** Gives its tickets back: it ended before its supervision began. */
  readonly giveBack: () => void
}

/** A request that has begun, and ends with its exchange. */
export interface Running {
  readonly close: () => void
}

/**
 * One request and its answer, at the boundary between the platform and Effect. The handler answers
 * through it, and so may whoever cancels the handler: the first answer wins.
 */
export class Exchange {
  /** Whether somebody calls `end`, once the scope of the request has been closed. */
  readonly ends: boolean
  /** The answer, when it was there before the platform asked to wait for it. */
  early: Response | undefined = undefined
  answered = false
  /** What the platform knows about the connection; set by the server. */
  info: Deno.ServeHandlerInfo | undefined = undefined
  /** Set when the caller is known and may have limits, of which every answer tells. */
  caller: Caller | undefined = undefined
  limits: RateLimit | undefined = undefined
  /** Set when the body outlives the handler. */
  streams = false
  /** Set by the server: the request is over, body included. */
  onEnd: (() => void) | undefined = undefined
  /** Set by supervision: the task, and the context in which its body must run. */
  record: TaskRecord | undefined = undefined
  context: Context.Context<never> | undefined = undefined
  /** Set by supervision: what ends with the request. */
  running: Running | undefined = undefined
  /** Set by the server once the request has suspended: arms what only a suspended task needs. */
  suspended: ((record: TaskRecord) => void) | undefined = undefined
  /** Set while the body streams: breaks it off. */
  stop: ((reason: CancelReason) => void) | undefined = undefined
  /** Set at the door: admitted, and not yet taken over by its supervision. */
  entered: Entered | undefined = undefined
  /** Set at the front: its endpoint. */
  door: Door | undefined = undefined
  private resolve: ((response: Response) => void) | undefined = undefined

  constructor(ends: boolean) {
    this.ends = ends
  }

  answer(answer: Response): void {
    if (this.answered) {
      answer.body?.cancel().catch(() => {})
      return
    }
    // Throws for what the platform cannot send; then it is not answered yet.
    const response = this.limits === undefined ? answer : told(answer, this.limits, this.caller)
    this.answered = true
    if (this.resolve === undefined) this.early = response
    else this.resolve(response)
  }

  end(): void {
    const { entered, onEnd, running } = this
    this.entered = this.onEnd = this.running = undefined
    if (entered !== undefined) entered.giveBack()
    if (running !== undefined) running.close()
    if (onEnd !== undefined) onEnd()
  }

  wait(): Promise<Response> {
    return new Promise((resolve) => {
      if (this.early !== undefined) resolve(this.early)
      else this.resolve = resolve
    })
  }
}

const key: unique symbol = Symbol.for("weir/edge/Exchange")

interface Carrier {
  [key]?: Exchange
}

/** Ties the exchange to the platform's request, which survives every rewrite of Effect's. */
export const attach = (source: Request, exchange: Exchange): void => {
  ;(source as Carrier)[key] = exchange
}

/** The exchange of a request that our server received. */
export const exchangeOf = (
  request: HttpServerRequest.HttpServerRequest,
): Exchange | undefined => (request.source as Carrier)[key]
