import { relative } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { Module } from "./architecture.ts"
import { filesUnder, root } from "./tree.ts"

interface Info {
  readonly modules: ReadonlyArray<{
    readonly specifier: string
    readonly error?: string
    readonly dependencies?: ReadonlyArray<{
      readonly specifier: string
      readonly code?: { readonly specifier?: string }
      readonly type?: { readonly specifier?: string }
    }>
  }>
}

const local = (url: string): string => relative(root, fileURLToPath(url))

/** Paths of all modules in `src`, from the root of the repository. */
export const sourceFiles = async (): Promise<ReadonlyArray<string>> =>
  (await filesUnder("src")).filter((file) => file.endsWith(".ts"))
    .map((file) => relative(root, file))

/** The module graph of `src` as Deno sees it, also of files that nothing imports. */
export const sourceGraph = async (): Promise<ReadonlyArray<Module>> => {
  const files = (await filesUnder("src")).filter((file) => file.endsWith(".ts"))
  const entry = await Deno.makeTempFile({ prefix: "weir-graph-", suffix: ".ts" })
  await Deno.writeTextFile(
    entry,
    files.map((file) => `import ${JSON.stringify(pathToFileURL(file).href)}\n`).join(""),
  )
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--config", `${root}/deno.json`, entry],
    cwd: root,
  }).output()
  await Deno.remove(entry)
  if (!success) throw new Error(new TextDecoder().decode(stderr))
  const info: Info = JSON.parse(new TextDecoder().decode(stdout))
  const inSource = (url: string) => url.startsWith(pathToFileURL(`${root}/src/`).href)
  return info.modules.filter((module) => inSource(module.specifier)).map((module) => {
    if (module.error !== undefined) throw new Error(module.error)
    const resolved = (module.dependencies ?? []).map((dependency) => ({
      specifier: dependency.specifier,
      url: dependency.code?.specifier ?? dependency.type?.specifier ?? "",
    }))
    return {
      file: local(module.specifier),
      imports: resolved.filter(({ url }) => url.startsWith("file:")).map(({ url }) => local(url)),
      packages: resolved.filter(({ url }) => !url.startsWith("file:"))
        .map(({ specifier }) => specifier),
    }
  })
}
