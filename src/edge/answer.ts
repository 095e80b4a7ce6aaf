/** What the edge itself asks of the mapping in `Problem.ts`. */
import type { Cause } from "effect"
import type { HttpServerResponse } from "effect/http"
import { behind } from "./behind.ts"
import { internal, payloadTooLarge } from "./fixed.ts"
import * as Problem from "./Problem.ts"

/** The problem as the platform's response, for answers outside any handler. */
export const renderPlatform = (problem: Problem.Problem, random: number): Response => {
  const { body, headers, status } = Problem.render(problem, random)
  const text = body._tag === "Uint8Array" ? body.text : undefined
  return new Response(text, { status, headers: headers as Record<string, string> })
}

/** A 500 for when nothing else is left to answer with. */
export const internalPlatform = (): Response => renderPlatform(internal, 0)

const known = (error: unknown): Problem.Problem | undefined =>
  behind(error, (at) => Problem.fromError(at, () => []))

/**
 * Whether `Problem.fromCause` has an answer of Weir's for this cause: a cancel, or an error that it
 * knows. Errors that an endpoint declares itself are not among them.
 */
export const answers = (cause: Cause.Cause<unknown>): boolean => {
  for (const reason of cause.reasons) {
    if (reason._tag === "Interrupt") continue
    return known(reason._tag === "Fail" ? reason.error : reason.defect) !== undefined
  }
  return true
}

/**
 * The status that `Problem.fromCause` would answer with, as far as it is known without rendering;
 * 400 for an error that only its endpoint knows.
 */
export const statusOf = (cause: Cause.Cause<unknown>): number => {
  for (const reason of cause.reasons) {
    if (reason._tag !== "Fail") continue
    const problem = known(reason.error)
    if (problem !== undefined) return problem.status
  }
  return 400
}

/** Replaces bodiless or plain-text errors of Effect's HTTP layer by problems. */
export const polish = (
  response: HttpServerResponse.HttpServerResponse,
): HttpServerResponse.HttpServerResponse => {
  if (response.status === 415 && response.headers["content-type"]?.startsWith("text/plain")) {
    const text = response.body._tag === "Uint8Array" ? response.body.text : undefined
    return Problem.render({
      slug: "unsupported-media-type",
      status: 415,
      title: "Unsupported media type",
      detail: text ?? "The body has a type that is not accepted.",
    }, 0)
  }
  if (response.status === 413 && response.body._tag === "Empty") {
    return Problem.render(payloadTooLarge, 0)
  }
  return response
}
