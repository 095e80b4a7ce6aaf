/**
 * The classes of criticality as numbers, for everything that decides: 0 is the most critical. Their
 * names are in `admission/Criticality.ts`, to which nothing below it may look up.
 */

/** How many classes there are. */
export const ranks = 4

/** The class of work about which nobody said anything. */
export const usual = 1

/** The part of the places of a bounded thing that is guaranteed to each class. They add up to 1. */
export const shares: ReadonlyArray<number> = [0.1, 0.6, 0.2, 0.1]
