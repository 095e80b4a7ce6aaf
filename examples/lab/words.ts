/**
 * Numbers as people read them.
 *
 * @module
 */

/** A whole number with a gap between the thousands, as in 1 000. */
export const grouped = (value: number): string =>
  String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, "\u00a0")

/** Milliseconds, as in 1 000 ms. */
export const ms = (value: number): string => `${grouped(value)}\u00a0ms`
