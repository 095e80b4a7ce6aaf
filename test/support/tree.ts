import { fileURLToPath } from "node:url"
import { join } from "node:path"

/** The root of the repository, without a trailing slash. */
export const root: string = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "")

/** Every file below a folder of the repository, as absolute paths in a stable order. */
export const filesUnder = async (folder: string): Promise<ReadonlyArray<string>> => {
  const found: Array<string> = []
  const walk = async (path: string): Promise<void> => {
    for await (const entry of Deno.readDir(path)) {
      const child = join(path, entry.name)
      if (entry.isDirectory && entry.name !== "node_modules") await walk(child)
      else if (entry.isFile) found.push(child)
    }
  }
  try {
    await walk(join(root, folder))
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error
  }
  return found.sort()
}
