import { Effect, Exit, type Fiber } from "effect"
import { type HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Caller } from "../admission/Caller.ts"
import { Peer } from "../admission/peer.ts"
import * as CancelReason from "../task/CancelReason.ts"
import type { TaskRecord } from "../task/record.ts"
import { attach, Exchange, exchangeOf } from "./exchange.ts"
import { internal as bug } from "./fixed.ts"
import * as Problem from "./Problem.ts"
import { type Place, tooLarge } from "./results.ts"

type Handler<E> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, unknown>

const byExchange = new WeakMap<Exchange, Detached>()

/** What runs this request apart from its connection, if something does. */
export const detachedOf = (
  request: HttpServerRequest.HttpServerRequest,
): Detached | undefined => {
  const exchange = exchangeOf(request)
  return exchange === undefined ? undefined : byExchange.get(exchange)
}

/** One request that runs apart from the connection it came on. */
export class Detached {
  /** Its task, once it was admitted. */
  record: TaskRecord | undefined = undefined
  /** Its answer, once it has one; the body is never a stream. */
  response: HttpServerResponse.HttpServerResponse | undefined = undefined
  private readonly exchange = new Exchange(false)
  /** The request as supervision sees it: without the body, and without the client's own times. */
  readonly head: HttpServerRequest.HttpServerRequest
  private readonly request: HttpServerRequest.HttpServerRequest
  private readonly place: Place
  private readonly maxBytes: number
  private readonly owner: Caller | undefined
  private bodyRead = false
  private kept = false
  private readonly wakes = new Set<() => void>()

  constructor(
    request: HttpServerRequest.HttpServerRequest,
    place: Place,
    maxBytes: number,
    caller: Caller | undefined,
  ) {
    this.exchange.caller = caller
    this.owner = caller instanceof Peer ? undefined : caller
    this.request = request
    this.place = place
    this.maxBytes = maxBytes
    this.exchange.suspended = (record) => {
      this.record = record
      record.armDeadline()
      // Gives it an id, and its event stream a beginning; one that has an id has been announced.
      if (!record.hasId) record.tree.emit(record, { _tag: "Started" })
    }
    this.head = this.copy(undefined)
    byExchange.set(this.exchange, this)
  }

  /** Reads the body within its limit, then runs the handler; the client may leave from then on. */
  buffering<E>(inner: Handler<E>): Handler<E | HttpServerError.HttpServerError> {
    const run = Effect.suspend(() => {
      this.bodyRead = true
      this.changed()
      return inner
    })
    const bytes = Effect.flatMap(run, (response) => asBytes(response, this.maxBytes))
    if ((this.request.source as Request).body === null) return bytes
    return Effect.flatMap(
      this.request.arrayBuffer,
      (body) => Effect.provideService(bytes, HttpServerRequest.HttpServerRequest, this.copy(body)),
    )
  }

  /** Takes the final answer. */
  respond(response: HttpServerResponse.HttpServerResponse): Effect.Effect<void> {
    return Effect.map(asBytes(response, this.maxBytes), (bytes) => {
      this.response = bytes
      this.changed()
    })
  }

  /** Watches the fiber that runs it. */
  started(fiber: Fiber.Fiber<void>): void {
    this.record?.onSettled(() => this.settle())
    fiber.addObserver((exit) => {
      this.response ??= Exit.isSuccess(exit) ? undefined : internal
      this.settle()
      this.changed()
    })
  }

  /** The client has left before it was told where to find the task. */
  abort(): void {
    this.record?.cancel(CancelReason.ClientAbort)
  }

  /** The answer goes to the client at once, so nothing needs to be kept. */
  deliver(): HttpServerResponse.HttpServerResponse {
    this.place.release()
    return this.response ?? internal
  }

  /** From now on the result is kept; returns the id under which the client finds it. */
  promise(): string {
    this.kept = true
    return this.record!.id
  }

  /** Until the body has been read, or there is an answer already. */
  get buffered(): Effect.Effect<void> {
    return this.until(() => this.bodyRead || this.response !== undefined)
  }

  /** Until there is an answer. */
  get answered(): Effect.Effect<void> {
    return this.until(() => this.response !== undefined)
  }

  private settle(): void {
    const record = this.record
    // Without a task it was refused at the door; an abandoned one settles again when it ends.
    if (record === undefined) return this.place.release()
    if (record.outcome === undefined) return
    if (!this.kept) return this.place.release()
    this.place.keep({
      id: record.id,
      name: record.name,
      startedAt: record.startedAt,
      endedAt: record.clock.currentTimeMillisUnsafe(),
      outcome: record.outcome,
      cancelReason: record.cancelledAt < 0 ? undefined : record.scope.effectiveReason(),
      owner: this.owner,
      response: this.response ?? internal,
    })
  }

  private until(condition: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const wake = () => {
        if (!condition()) return
        this.wakes.delete(wake)
        resume(Effect.void)
      }
      this.wakes.add(wake)
      wake()
      return Effect.sync(() => this.wakes.delete(wake))
    })
  }

  private changed(): void {
    for (const wake of Array.from(this.wakes)) wake()
  }

  private copy(body: ArrayBuffer | undefined): HttpServerRequest.HttpServerRequest {
    const source = this.request.source as Request
    const headers = new Headers(source.headers)
    // The deadline is the policy's: it does not depend on how long the client listens.
    headers.delete("prefer")
    headers.delete("request-timeout")
    const copy = new Request(source.url, {
      method: source.method,
      headers,
      ...(body === undefined ? {} : { body }),
    })
    attach(copy, this.exchange)
    // Asked now, while the client is known: the work may outlive the connection.
    const { peerAddress, remoteAddress, url } = this.request
    return HttpServerRequest.fromWeb(copy).modify({ url, remoteAddress, peerAddress })
  }
}

const internal = Problem.render(bug, 0)

/** The same response with its body in memory, or a problem when it is larger than the limit. */
const asBytes = (
  response: HttpServerResponse.HttpServerResponse,
  maxBytes: number,
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const tag = response.body._tag
  if (tag === "Uint8Array" || tag === "Empty") return Effect.succeed(response)
  return Effect.withFiber((fiber) => {
    const web = HttpServerResponse.toWeb(response, { context: fiber.context })
    const reader = web.body?.getReader()
    if (reader === undefined) return Effect.succeed(response)
    return Effect.map(
      Effect.onInterrupt(
        Effect.promise(() => read(reader, maxBytes)),
        () => Effect.promise(() => reader.cancel().catch(() => {})),
      ),
      (bytes) =>
        bytes === undefined ? tooLarge(undefined, maxBytes) : HttpServerResponse.uint8Array(bytes, {
          status: web.status,
          cookies: response.cookies,
          headers: Array.from(web.headers).filter(([name]) => name !== "set-cookie"),
          contentType: web.headers.get("content-type") ?? "application/octet-stream",
        }),
    )
  })
}

const read = async (
  reader: ReadableStreamDefaultReader<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array | undefined> => {
  const chunks: Array<Uint8Array> = []
  let size = 0
  while (true) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.byteLength
    if (size > maxBytes) {
      await reader.cancel()
      return undefined
    }
    chunks.push(value)
  }
  const all = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.byteLength
  }
  return all
}
