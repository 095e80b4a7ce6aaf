import { Cause, Context, Effect, Exit, Scope } from "effect"
import type { Fiber } from "effect"
import { makeResources } from "../internal/resources.ts"
import { CurrentScope } from "../task/scope.ts"
import { fork } from "../task/turn.ts"
import type { MessageFrame } from "./frame.ts"
import type { LateLedger } from "./handling.ts"
import { close, follow } from "./launch.ts"

/** Where the messages of a batch come from. */
export interface Source {
  /** The next message, begun; undefined when the batch is over. */
  readonly next: () => MessageFrame | undefined
}

/**
 * Runs messages one after another in one fiber, because a fiber for each is half of what a short
 * handler costs. Each message has its own frame, scope and context, as if it were alone. The fiber
 * becomes the message's own as soon as that needs it: when it suspends, when it fails, and when it
 * has children, which end with the fiber. Then the batch is over.
 */
export class Batch {
  private readonly source: Source
  private readonly ledger: LateLedger
  /** The message that runs. */
  private frame: MessageFrame | undefined
  private resources = makeResources()
  private context: Context.Context<never>
  private fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** Its code has not been handed over yet. */
  private pending = true
  /** The fiber is that message's own. */
  private kept = false
  /** What the message that keeps the fiber ended with. */
  private exit: Exit.Exit<unknown, unknown> | undefined = undefined

  constructor(source: Source, ledger: LateLedger, first: MessageFrame) {
    this.source = source
    this.ledger = ledger
    this.frame = first
    this.context = this.contextOf(first)
  }

  /** Runs until the batch is over, or a message has taken the fiber. */
  run(): void {
    const loop = Effect.whileLoop({
      while: () => this.more(),
      body: () => this.body(),
      step: (value) => this.step(value),
    })
    const fiber = fork(
      this.context,
      Effect.withFiber((fiber) => {
        this.fiber = fiber
        return loop
      }),
    )
    const { context, frame, ledger, resources } = this
    const exit = fiber.pollUnsafe()
    // The last one has ended; at most the fiber itself gave way before its own end.
    if (frame === undefined) return void fiber.addObserver(rethrow)
    if (exit !== undefined) {
      return close(ledger, frame, resources, this.exitOf(exit), context, false)
    }
    this.kept = true
    follow(ledger, frame, fiber)
    fiber.addObserver((exit) => close(ledger, frame, resources, this.exitOf(exit), context, true))
  }

  private exitOf(exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> {
    return this.exit !== undefined && Exit.isSuccess(exit) ? this.exit : exit
  }

  private more(): boolean {
    if (this.pending) return true
    if (this.exit !== undefined) return false
    const frame = this.source.next()
    if (frame === undefined) return false
    this.frame = frame
    this.resources = makeResources()
    this.context = this.contextOf(frame)
    this.fiber!.setContext(this.context)
    return this.pending = true
  }

  private body(): Effect.Effect<unknown, unknown> {
    this.pending = false
    return this.frame!.code as Effect.Effect<unknown, unknown>
  }

  private step(value: unknown): void {
    const exit = Exit.succeed(value)
    if (this.kept || hasChildren(this.fiber!)) {
      this.exit = exit
      return
    }
    const frame = this.frame!
    this.frame = undefined
    close(this.ledger, frame, this.resources, exit, this.context, false)
  }

  private contextOf(frame: MessageFrame): Context.Context<never> {
    return Context.addUnsafe(
      Context.addUnsafe(frame.services, CurrentScope.key, frame),
      Scope.Scope.key,
      this.resources,
    )
  }
}

/** Nothing of a message runs any more, so what fails is the engine: a bug, which must not be silent. */
const rethrow = (exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
}

/**
 * Effect keeps this to itself: `children()` makes the set that it returns. Without it children would
 * end with the batch instead of with their message.
 */
const hasChildren = (fiber: Fiber.Fiber<unknown, unknown>): boolean => {
  const { _children } = fiber as unknown as { readonly _children?: ReadonlySet<unknown> }
  return _children !== undefined && _children.size > 0
}
