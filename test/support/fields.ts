/** Reads a list of RFC 9651 items with parameters, as strictly as the RFC does. */
export interface Item {
  readonly value: string
  readonly parameters: Readonly<Record<string, number>>
}

/** A list of strings whose parameters are integers, such as `"a";q=1;w=60, "b";q=2`. */
export const parseList = (text: string): ReadonlyArray<Item> => {
  const items: Array<Item> = []
  let at = 0
  const take = (pattern: RegExp, what: string): string => {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match === null) throw new Error(`${what} expected at ${at} of ${text}`)
    at = pattern.lastIndex
    return match[1] ?? match[0]
  }
  while (true) {
    const value = take(/"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y, "a string")
    const parameters: Record<string, number> = {}
    while (text[at] === ";") {
      take(/; */y, "a semicolon")
      const key = take(/[a-z*][a-z0-9_.*-]*/y, "a key")
      take(/=/y, "=")
      parameters[key] = Number(take(/-?\d{1,15}(?![.\d])/y, "an integer"))
    }
    items.push({ value, parameters })
    if (at === text.length) return items
    take(/[ \t]*,[ \t]*(?!$)/y, "a comma")
  }
}
