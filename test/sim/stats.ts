/** A sorted copy. */
export const sorted = (values: ReadonlyArray<number>): Float64Array =>
  Float64Array.from(values).sort()

/** The quantile of sorted values, the nearest one; 0 when there are none. */
export const quantile = (values: ArrayLike<number>, q: number): number =>
  values.length === 0 ? 0 : values[Math.max(0, Math.ceil(q * values.length) - 1)]!

/** Jain's index: 1 when all are equal, 1/n when one has everything. */
export const jain = (values: ReadonlyArray<number>): number => {
  const sum = values.reduce((sum, x) => sum + x, 0)
  const squares = values.reduce((sum, x) => sum + x * x, 0)
  return squares === 0 ? 1 : sum * sum / (values.length * squares)
}
