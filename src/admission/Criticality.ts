/**
 * How bad it is to refuse a piece of work: four classes, and what each is guaranteed.
 *
 * @see Site Reliability Engineering, chapter 21: "Criticality"
 * @module
 */
import { shares, usual } from "../bounded/rank.ts"

/**
 * The classes, the most critical first.
 *
 * **Details** – guaranteed parts of the places of each bounded thing, which others may borrow while
 * they are idle:
 *
 * - `critical-plus`, 10 %: what must not be refused; a refusal here is an incident.
 * - `critical`, 60 %: what a person waits for. The default.
 * - `sheddable-plus`, 20 %: what can be done some minutes later, such as a batch that is tried again.
 * - `sheddable`, 10 %: what may be refused for hours, such as prefetching.
 *
 * @category models
 * @since 0.1.0
 */
export type Criticality = "critical-plus" | "critical" | "sheddable-plus" | "sheddable"

/**
 * Every class, the most critical first: the index of a class is its rank.
 *
 * @category models
 * @since 0.1.0
 */
export const classes: ReadonlyArray<Criticality> = [
  "critical-plus",
  "critical",
  "sheddable-plus",
  "sheddable",
]

/**
 * The class of work about which nobody said anything: `critical`. Most requests are what a person
 * waits for; who marks the rest as sheddable protects them, and who marks nothing changes nothing.
 *
 * @category models
 * @since 0.1.0
 */
export const usually: Criticality = classes[usual]!

/**
 * The rank of a class, 0 to 3; that of {@link usually} when there is none.
 *
 * @category accessors
 * @since 0.1.0
 */
export const rankOf = (criticality: Criticality | undefined): number => {
  switch (criticality) {
    case "critical-plus":
      return 0
    case "critical":
      return 1
    case "sheddable-plus":
      return 2
    case "sheddable":
      return 3
    case undefined:
      return usual
  }
}

/**
 * The part of the places of a bounded thing that is guaranteed to a class, between 0 and 1.
 *
 * @category accessors
 * @since 0.1.0
 */
export const shareOf = (criticality: Criticality): number => shares[rankOf(criticality)]!

/**
 * The less critical of two classes; `undefined` does not limit the other one.
 *
 * @category operations
 * @since 0.1.0
 */
export const least = (
  one: Criticality | undefined,
  other: Criticality | undefined,
): Criticality | undefined =>
  one === undefined ? other : other === undefined || rankOf(other) <= rankOf(one) ? one : other

/**
 * True for the name of a class.
 *
 * @category guards
 * @since 0.1.0
 */
export const isCriticality = (u: unknown): u is Criticality =>
  typeof u === "string" && (classes as ReadonlyArray<string>).includes(u)
