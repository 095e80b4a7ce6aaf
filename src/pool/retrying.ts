import { type Cause, Clock, Context, Duration, Effect, type Fiber, Schedule } from "effect"
import { isOwn } from "../bounded/Refused.ts"
import { Mistake } from "../internal/mistake.ts"
import { type CancelScope, CurrentScope, frameOf, root } from "../task/scope.ts"
import type { Hint } from "./hints.ts"
import type { RetryBudget } from "./RetryBudget.ts"

/** Why a failure was passed on instead of being tried again. */
export type Denied = "attempts" | "deadline" | "budget" | "nested" | "hint"

/** How failures are tried again. */
export interface Rules<E> {
  /** Calls in all, the first included. */
  readonly attempts: number
  readonly schedule: Schedule.Schedule<unknown, E>
  /** Longest wait between two calls: what asks for more is not waited for. */
  readonly maxDelayMs: number
  readonly budget: RetryBudget | undefined
  readonly hint: (error: E, now: number) => Hint
  /** How long a call takes as a rule. */
  readonly expectedMs: (now: number) => number
  /** What is left of a failure that nobody will see. */
  readonly discard?: ((error: E) => Effect.Effect<void>) | undefined
  readonly onRetry?: (() => void) | undefined
  readonly onDenied?: ((why: Denied) => void) | undefined
}

/** Checks the number of attempts; default 3. */
export const attemptsOf = (what: string, attempts = 3): number => {
  if (Number.isSafeInteger(attempts) && attempts >= 1) return attempts
  throw new Mistake(`${what}: attempts is ${attempts}. Use an integer of at least 1.`)
}

/**
 * Who retries already, and in which frame. A frame, not a flag: detached work inherits the context of
 * whoever starts it, but is not part of what that one would try again.
 */
interface Retrier {
  readonly frame: CancelScope
  /** False between and after its attempts: a fiber that stayed behind is part of none. */
  trying: boolean
}

const Owner: Context.Reference<Retrier | undefined> = Context.Reference<Retrier | undefined>(
  "weir/pool/RetryOwner",
  { defaultValue: () => undefined },
)

/** Whether work of that fiber is part of what somebody above it tries again. */
const isNested = (
  owner: Retrier | undefined,
  fiber: Fiber.Fiber<unknown, unknown>,
): boolean => {
  if (owner === undefined || !owner.trying) return false
  let frame: CancelScope | undefined = frameOf(fiber)
  while (frame !== undefined && frame !== owner.frame) frame = frame.parent
  return frame !== undefined
}

/** The context of attempts that the fiber owns. */
const owned = (fiber: Fiber.Fiber<unknown, unknown>, own: Retrier): Context.Context<never> => {
  const context = Context.add(fiber.context, Owner, own)
  return own.frame === fiber.getRef(CurrentScope)
    ? context
    : Context.add(context, CurrentScope, own.frame)
}

/** The frame of detached work has the same parent as all of it, so outside of any it needs its own. */
const frameFor = (fiber: Fiber.Fiber<unknown, unknown>): CancelScope => {
  const frame = frameOf(fiber)
  return frame === root ? root.withDeadline(Infinity) : frame
}

/** Runs the effect, and again after a failure as long as the rules allow. */
export const retrying = <A, E, R>(
  attempt: Effect.Effect<A, E, R>,
  rules: Rules<E>,
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const context = fiber.context
    const nested = isNested(fiber.getRef(Owner), fiber)
    const own = nested ? undefined : { frame: frameFor(fiber), trying: false }
    const inner = own === undefined ? context : owned(fiber, own)
    const decide = new Decision(rules, nested)
    // Set by hand, and also taken back when the attempt is interrupted: a cleanup retries by itself.
    const restored = Effect.onExitPrimitive(attempt, () => {
      fiber.setContext(context)
      if (own !== undefined) own.trying = false
      return undefined
    })
    const run: Effect.Effect<A, E, R> = Effect.suspend(() => {
      fiber.setContext(inner)
      if (own !== undefined) own.trying = true
      return Effect.catchCause(restored, (cause) =>
        Effect.flatMap(
          decide.after(cause, fiber),
          (delayMs) =>
            delayMs === undefined
              ? Effect.failCause(decide.told(cause))
              : Effect.andThen(Effect.sleep(delayMs), run),
        ))
    })
    return run
  })

/** What was tried so far, and what comes next. */
class Decision<E> {
  readonly #rules: Rules<E>
  readonly #nested: boolean
  #attempts = 0
  /** How the last attempt failed that was tried again. */
  #before: Cause.Cause<E> | undefined = undefined
  #step: ((now: number, error: E) => Effect.Effect<number | undefined>) | undefined = undefined

  constructor(rules: Rules<E>, nested: boolean) {
    this.#rules = rules
    this.#nested = nested
  }

  /** The wait before the next try; `undefined` when there is none. */
  after(
    cause: Cause.Cause<E>,
    fiber: Fiber.Fiber<unknown, unknown>,
  ): Effect.Effect<number | undefined> {
    const rules = this.#rules
    let error: { readonly value: E } | undefined
    for (const reason of cause.reasons) {
      // Defects and cancels are not tried again.
      if (reason._tag !== "Fail") return nothing
      error ??= { value: reason.error }
    }
    if (error === undefined) return nothing
    const failure = error.value
    const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
    const hint = rules.hint(failure, now)
    if (hint.retry === false) return this.#no("hint")
    if (++this.#attempts >= rules.attempts) return this.#no("attempts")
    if (this.#nested) return this.#no("nested")
    return Effect.flatMap(this.#backoff(now, failure), (backoff) => {
      if (backoff === undefined) return this.#no("attempts")
      const delay = Math.max(backoff, hint.retryAfterMs ?? 0)
      const left = frameOf(fiber).deadline - now
      if (delay > rules.maxDelayMs || delay + rules.expectedMs(now) >= left) {
        return this.#no("deadline")
      }
      // Charged now, while the others that failed at the same instant decide too.
      if (rules.budget?.withdraw(now) === false) return this.#no("budget")
      rules.onRetry?.()
      this.#before = cause
      return Effect.as(rules.discard?.(failure) ?? Effect.void, delay)
    })
  }

  /** What the caller is told: that a retry was refused by us says less than why it was made. */
  told(cause: Cause.Cause<E>): Cause.Cause<E> {
    const refused = cause.reasons.some((reason) => reason._tag === "Fail" && isOwn(reason.error))
    return refused ? this.#before ?? cause : cause
  }

  #no(why: Denied): Effect.Effect<undefined> {
    this.#rules.onDenied?.(why)
    return nothing
  }

  #backoff(now: number, error: E): Effect.Effect<number | undefined> {
    if (this.#step !== undefined) return this.#step(now, error)
    return Effect.flatMap(Schedule.toStep(this.#rules.schedule), (step) => {
      const next = (now: number, error: E) =>
        Effect.matchCause(step(now, error), {
          // Only its end: a schedule of these rules has no errors.
          onFailure: () => undefined,
          onSuccess: ([, delay]) => Duration.toMillis(delay),
        })
      this.#step = next
      return next(now, error)
    })
  }
}

const nothing: Effect.Effect<undefined> = Effect.succeed(undefined)
