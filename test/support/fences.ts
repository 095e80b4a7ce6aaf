export interface Fence {
  /** Line of the opening fence, counted from 1. */
  readonly line: number
  readonly code: string
}

const opening = /^(\s*\*?\s*)```ts ignore\s*$/
const closing = /^\s*\*?\s*```\s*$/

/** The `ts ignore` fences of a Markdown or TypeScript file. */
export const checkedOnly = (text: string): ReadonlyArray<Fence> => {
  const found: Array<Fence> = []
  const lines = text.split("\n")
  for (let i = 0; i < lines.length; i++) {
    const prefix = opening.exec(lines[i] ?? "")?.[1]
    if (prefix === undefined) continue
    const start = i++
    const code: Array<string> = []
    for (; i < lines.length && !closing.test(lines[i] ?? ""); i++) {
      const line = lines[i] ?? ""
      code.push(
        line.startsWith(prefix) ? line.slice(prefix.length) : line.trim().replace(/^\*$/, ""),
      )
    }
    found.push({ line: start + 1, code: `${code.join("\n")}\n` })
  }
  return found
}
