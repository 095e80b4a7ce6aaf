/** What a `Prefer` header (RFC 7240) asks for; names are case-insensitive, the first one wins. */
export interface Preferences {
  readonly respondAsync: boolean
  /** Seconds; `undefined` when absent or not a whole number. */
  readonly wait: number | undefined
}

const nothing: Preferences = { respondAsync: false, wait: undefined }

export const parsePrefer = (header: string | null | undefined): Preferences => {
  if (header === null || header === undefined) return nothing
  let respondAsync = false
  let wait: number | undefined
  for (const preference of header.split(",")) {
    const [name = "", value = ""] = preference.split(";")[0]!.split("=").map((part) => part.trim())
    if (name.toLowerCase() === "respond-async") respondAsync = true
    if (name.toLowerCase() === "wait" && wait === undefined) {
      const digits = /^"?(\d{1,9})"?$/.exec(value)
      if (digits !== null) wait = Number(digits[1])
    }
  }
  return { respondAsync, wait }
}
