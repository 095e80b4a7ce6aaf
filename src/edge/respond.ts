import { type Context, Effect, Stream } from "effect"
import { Cookies, HttpBody, HttpEffect, HttpServerResponse } from "effect/http"
import type { HttpServerRequest } from "effect/http"
import * as CancelReason from "../task/CancelReason.ts"
import type { Exchange } from "./exchange.ts"

/**
 * Turns Effect's response into the platform's. The common case is a body that is text or bytes: it
 * skips the `Headers` object that `HttpServerResponse.toWeb` builds (5 µs on Deno), and hands over
 * `content-type` alone, for which Deno has a path of its own (0.5 µs; a second header costs 4 µs).
 */
export const toPlatform = (
  response: HttpServerResponse.HttpServerResponse,
  request: HttpServerRequest.HttpServerRequest,
  context: Context.Context<never>,
  exchange: Exchange,
): Response => {
  const body = response.body
  const head = request.method === "HEAD"
  if (
    body._tag === "Uint8Array" && !HttpServerResponse.omitsBody(response, head) &&
    Cookies.isEmpty(response.cookies)
  ) return complete(response, body.text ?? body.body as Uint8Array<ArrayBuffer>)
  if (body._tag !== "Stream" || HttpServerResponse.omitsBody(response, head)) {
    return HttpServerResponse.toWeb(response, { withoutBody: head, context })
  }
  return HttpServerResponse.toWeb(supervisedStream(response, context, exchange), { context })
}

/** Deno computes the length of a body that is there as a whole. */
const complete = (
  response: HttpServerResponse.HttpServerResponse,
  body: string | Uint8Array<ArrayBuffer>,
): Response => {
  const { headers, status } = response
  let single = true
  for (const name in headers) {
    if (name !== "content-type" && name !== "content-length") single = false
  }
  const contentType = headers["content-type"] ?? "application/octet-stream"
  if (single) return new Response(body, { status, headers: { "content-type": contentType } })
  const { "content-length": _, ...rest } = headers
  return new Response(body, { status, headers: { "content-type": contentType, ...rest } })
}

/**
 * Ties a streamed body to its task: the request scope closes when the stream ends, a cancel of the
 * task fails the stream (the client sees a broken transfer, never a short body that looks whole),
 * and a client that leaves cancels the task with `ClientAbort`.
 */
const supervisedStream = (
  response: HttpServerResponse.HttpServerResponse,
  context: Context.Context<never>,
  exchange: Exchange,
): HttpServerResponse.HttpServerResponse => {
  exchange.streams = true
  const transferred = HttpEffect.scopeTransferToStream(response)
  const body = transferred.body
  if (body._tag !== "Stream") return transferred
  const source = Stream.toReadableStreamWith(
    Stream.ensuring(body.stream, Effect.sync(() => exchange.end())),
    exchange.context ?? context,
  )
  const reader = source.getReader()
  const readable = new ReadableStream<Uint8Array>({
    start(controller) {
      // Ends the source itself: its own end might never be asked for, by a client that does not
      // read or that left before the first byte.
      exchange.stop = (reason) => {
        exchange.stop = undefined
        controller.error(new Error(`Response body cancelled: ${CancelReason.format(reason)}`))
        reader.cancel().catch(() => {})
      }
    },
    async pull(controller) {
      const { done, value } = await reader.read()
      if (exchange.stop === undefined) return
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel() {
      // The reason is written before the stream is interrupted, so that its finalizers can read it.
      exchange.record?.cancel(CancelReason.ClientAbort)
      exchange.stop = undefined
      return reader.cancel()
    },
  }, { highWaterMark: 0 })
  exchange.record?.onCancel((reason) => exchange.stop?.(reason))
  return HttpServerResponse.setBody(
    transferred,
    HttpBody.raw(readable, {
      contentType: body.contentType,
      ...(body.contentLength === undefined ? {} : { contentLength: body.contentLength }),
    }),
  )
}
