/**
 * A mistake in the program that uses Weir, found while it starts: shown as one sentence, without the
 * stack that a bug has. Thrown where a typed error would burden every program that makes no mistake.
 */
export class Mistake extends RangeError {
  readonly _tag = "Mistake"
}
