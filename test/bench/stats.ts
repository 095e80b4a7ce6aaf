/**
 * Statistics over the rounds of one run.
 */

/** The middle value; the mean of the two middle ones where the count is even; NaN for none. */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return NaN
  const high = sorted[middle]!
  if (sorted.length % 2 === 1) return high
  const low = sorted[middle - 1]!
  // The sum of two of one sign, and the difference of two of different signs, may be too large.
  return low < 0 && high > 0 ? (low + high) / 2 : low + (high - low) / 2
}

/** Median, smallest and largest value. */
export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
}

export const summarize = (values: ReadonlyArray<number>): Summary => ({
  median: median(values),
  min: values.length === 0 ? NaN : Math.min(...values),
  max: values.length === 0 ? NaN : Math.max(...values),
})

/** Rounds to so many significant digits; keeps NaN. */
export const significant = (value: number, digits = 3): number => Number(value.toPrecision(digits))
