import type { Cause } from "effect"
import { Schema } from "effect"

const ReentrantAcquireBase: Schema.Class<
  ReentrantAcquire,
  Schema.TaggedStruct<"ReentrantAcquire", {
    readonly kind: typeof Schema.String
    readonly resource: typeof Schema.String
  }>,
  Cause.YieldableError
> = Schema.TaggedError<ReentrantAcquire>()("ReentrantAcquire", {
  kind: Schema.String,
  resource: Schema.String,
})

/**
 * Work that holds a slot asked the same bulkhead for another one: with every slot held by such work
 * all of it would wait for ever. It is a bug of the program, so it is a defect, not a failure.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReentrantAcquire extends ReentrantAcquireBase {
  /** One sentence: what failed, why, what to do. */
  override get message(): string {
    return `Work that runs in a slot of the ${this.kind} "${this.resource}" asked for another slot ` +
      "of it, which can deadlock. Acquire it once, around all of the work, or use a second one."
  }
}
