import { dirname, join } from "node:path"
import { root } from "./tree.ts"

const helper = "test/support/database.ts"
const relativeImport = /^(?:import|export|\})[^"\n]*"(\.{1,2}\/[^"]+\.ts)"/gm

/** A test file with this word in a comment is about the embedded server, and runs only once. */
const embeddedOnly = "@embedded-only"

/** The files among these that import `test/support/database.ts`, directly or through helpers. */
export const usersOfTheDatabase = async (
  files: ReadonlyArray<string>,
  read: (file: string) => Promise<string> = (file) => Deno.readTextFile(join(root, file)),
): Promise<ReadonlyArray<string>> => {
  const importsOf = new Map<string, ReadonlyArray<string>>()
  const load = async (file: string): Promise<void> => {
    // Only helpers below test/ can lead there: neither src nor an example imports a test.
    if (importsOf.has(file) || !file.startsWith("test/")) return
    importsOf.set(file, [])
    const text = await read(file).catch(() => "")
    if (text.includes(embeddedOnly)) return
    const imports = [...text.matchAll(relativeImport)]
      .map((match) => join(dirname(file), match[1] as string))
    importsOf.set(file, imports)
    for (const next of imports) await load(next)
  }
  for (const file of files) await load(file)
  const reaches = (file: string, seen: Set<string>): boolean => {
    if (file === helper) return true
    if (seen.has(file)) return false
    seen.add(file)
    return (importsOf.get(file) ?? []).some((next) => reaches(next, seen))
  }
  return files.filter((file) => reaches(file, new Set()))
}
