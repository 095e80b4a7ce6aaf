/**
 * What `look` makes of the error, or of what wrappers such as `SqlError` hold as its reason or its
 * cause, six levels deep.
 */
export const behind = <A>(error: unknown, look: (error: unknown) => A | undefined) => {
  let at: unknown = error
  for (let depth = 0; depth < 6 && typeof at === "object" && at !== null; depth++) {
    const found = look(at)
    if (found !== undefined) return found
    at = "reason" in at && typeof at.reason === "object"
      ? at.reason
      : "cause" in at
      ? at.cause
      : undefined
  }
  return undefined
}
