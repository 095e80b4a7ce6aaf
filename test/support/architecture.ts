/** The rules about the shape of `src`, as pure functions of its module graph and its file names. */

export interface Module {
  /** Path from the root of the repository, e.g. `src/task/Task.ts`. */
  readonly file: string
  /** Paths of the repository's own modules that it imports, types included. */
  readonly imports: ReadonlyArray<string>
  /** Bare names of the packages that it imports. */
  readonly packages: ReadonlyArray<string>
}

/** A folder imports only from folders to its right; two folders in one place not from each other. */
export const order: ReadonlyArray<ReadonlyArray<string>> = [
  ["cli"],
  ["service"],
  ["console", "cluster"],
  ["edge"],
  ["observe"],
  ["admission"],
  ["actor", "cache"],
  ["store"],
  ["pool"],
  ["task"],
  ["bounded"],
  ["telemetry"],
  ["internal"],
]

/**
 * Lower-case files that folders to the left may import too, each with the reason why it is neither
 * private to its folder nor public. Keep it short: every line is a seam that users cannot see.
 */
export const seams: Readonly<Record<string, string>> = {
  "src/task/scope.ts":
    "the cancel scope: pools read who holds what, the edge opens one per request",
  "src/task/commit.ts": "an uninterruptible message keeps its result, also when it cancels itself",
  "src/task/record.ts": "the edge begins the task of a request synchronously",
  "src/task/tree.ts": "the edge lists the task of a request in the tree of its service",
  "src/task/restarts.ts": "actors are restarted by the same rules as other children",
  "src/task/fatal.ts": "the service ends when a supervisor without one above it gives up",
  "src/task/timers.ts": "the timers of actors: one sleeping fiber for all of them",
  "src/task/start.ts": "waiting for a task that was begun synchronously",
  "src/task/turn.ts": "starting a fiber on the caller's stack",
  "src/task/events.ts": "what a task tells its tree: the tasks of actors enter it late",
  "src/telemetry/series.ts": "the histogram that mailboxes share by kind of actor",
  "src/bounded/rank.ts": "the classes as numbers: below admission nobody knows their names",
  "src/bounded/tally.ts": "counting refusals, also those that are only tried",
  "src/bounded/quota.ts": "what has places but no line: admission, results, event streams",
  "src/edge/openapi.ts": "the service adds the edge's own endpoints to the API's document",
  "src/edge/compiling.ts": "the service lets the edge decide at the routes that it builds",
  "src/edge/routes.ts": "the service builds the table of methods and paths once",
}

const index = "src/index.ts"

/** Packages that only tests and benchmarks may use. */
const testOnly = ["vitest", "@effect/vitest", "@vitest/coverage-v8", "effect/testing"]

const folderOf = (file: string): string => file.split("/").slice(1, -1).join("/")
const placeOf = (file: string): number =>
  order.findIndex((folders) => folders.includes(folderOf(file).split("/")[0] ?? ""))
const nameOf = (file: string): string => file.split("/").at(-1)?.replace(/\.ts$/, "") ?? ""

/** A file with a capital letter holds one public noun; any other is private to its folder. */
export const isPublic = (file: string): boolean =>
  file.startsWith("src/") && /^[A-Z][A-Za-z0-9]*$/.test(nameOf(file)) &&
  !file.startsWith("src/internal/")

const judgeImport = (
  from: string,
  to: string,
  shared: Readonly<Record<string, string>>,
): string | undefined => {
  const line = `${from} imports ${to}`
  if (to === index) return `${line}: only users import index.ts; import the module itself`
  if (!to.startsWith("src/")) return `${line}: src imports nothing from outside src`
  if (from === index) {
    return isPublic(to) ? undefined : `${line}: index.ts lists public modules only`
  }
  if (folderOf(from) === folderOf(to)) return undefined
  if (!isPublic(to) && folderOf(to) !== "internal" && !(to in shared)) {
    return `${line}: a lower-case file is private to its folder, unless it is a seam`
  }
  if (placeOf(to) > placeOf(from)) return undefined
  return `${line}: ${folderOf(from)} may import only from folders to its right in ` +
    order.map((folders) => folders.join(", ")).join(" > ")
}

const placeless = (file: string): boolean => file !== index && placeOf(file) < 0

/** Imports that break the rule, one sentence each. */
export const importViolations = (
  graph: ReadonlyArray<Module>,
  shared: Readonly<Record<string, string>> = seams,
): ReadonlyArray<string> =>
  graph.flatMap((module) => [
    ...(placeless(module.file)
      ? [
        `${module.file}: the folder has no place in the import rule (test/support/architecture.ts)`,
      ]
      : []),
    ...module.imports.flatMap((to) => judgeImport(module.file, to, shared) ?? []),
    ...module.packages.filter((name) => testOnly.includes(name))
      .map((name) => `${module.file} imports ${name}: only tests may`),
  ])

/** Seams that no other folder uses (any more). */
export const staleSeams = (
  graph: ReadonlyArray<Module>,
  shared: Readonly<Record<string, string>> = seams,
): ReadonlyArray<string> =>
  Object.keys(shared).filter((seam) =>
    !graph.some(({ file, imports }) => imports.includes(seam) && folderOf(file) !== folderOf(seam))
  )

/** Every import cycle, once, as the list of its files. Cycles of types alone count too. */
export const cycles = (graph: ReadonlyArray<Module>): ReadonlyArray<ReadonlyArray<string>> => {
  const byFile = new Map(graph.map((module) => [module.file, module]))
  const done = new Set<string>()
  const found: Array<ReadonlyArray<string>> = []
  const visit = (file: string, path: ReadonlyArray<string>): void => {
    const at = path.indexOf(file)
    if (at >= 0) {
      found.push(path.slice(at))
    } else if (!done.has(file)) {
      for (const next of byFile.get(file)?.imports ?? []) visit(next, [...path, file])
      done.add(file)
    }
  }
  for (const module of graph) visit(module.file, [])
  return found
}

/** The `exports` map that the files of `src` call for: the index, then one subpath per public noun. */
export const wantedExports = (files: ReadonlyArray<string>): Readonly<Record<string, string>> => {
  const modules = files.filter(isPublic)
    .sort((a, b) => placeOf(a) - placeOf(b) || (a < b ? -1 : 1))
  return Object.fromEntries([
    [".", `./${index}`],
    ...modules.map((file) => [`./${nameOf(file)}`, `./${file}`]),
  ])
}

/** Differences between the exports map of deno.json and the public modules. */
export const exportViolations = (
  exports: Readonly<Record<string, string>>,
  files: ReadonlyArray<string>,
): ReadonlyArray<string> => {
  const wanted = wantedExports(files)
  const names = files.filter(isPublic).map(nameOf)
  return [
    ...names.filter((name, i) => names.indexOf(name) !== i)
      .map((name) => `Two public modules are called ${name}`),
    ...Object.entries(wanted).filter(([name, file]) => exports[name] !== file)
      .map(([name, file]) => `deno.json: exports lacks "${name}": "${file}"`),
    ...Object.keys(exports).filter((name) => !(name in wanted))
      .map((name) => `deno.json: exports has "${name}", which is no public module`),
  ]
}

const exportLine = (file: string): string =>
  `export * as ${nameOf(file)} from "./${file.slice("src/".length)}"`

const codeLines = (text: string): ReadonlyArray<string> =>
  text.replace(/\/\*[\s\S]*?\*\//g, "").split("\n")
    .map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("//"))

/**
 * Folders that one imports by the module (`@weir/runtime/ActorEntity`): the index would load what they
 * stand on into every program. Effect Cluster takes 10 MB.
 */
const apart: ReadonlyArray<string> = ["cluster"]

/** The lines of the index in data-flow order; within a folder the order of `text` is kept. */
export const wantedIndex = (
  text: string,
  files: ReadonlyArray<string>,
): ReadonlyArray<string> => {
  const present = codeLines(text)
  const rank = (file: string): number => {
    const at = present.indexOf(exportLine(file))
    return at < 0 ? present.length : at
  }
  return files.filter(isPublic)
    .filter((file) => !apart.includes(folderOf(file).split("/")[0] ?? ""))
    .sort((a, b) => placeOf(a) - placeOf(b) || rank(a) - rank(b) || (a < b ? -1 : 1))
    .map(exportLine)
}

/** Differences between the lines of `src/index.ts` and the public modules. */
export const indexViolations = (
  text: string,
  files: ReadonlyArray<string>,
): ReadonlyArray<string> => {
  const code = codeLines(text)
  const wanted = wantedIndex(text, files)
  const found = [
    ...wanted.filter((line) => !code.includes(line)).map((line) => `${index} lacks: ${line}`),
    ...code.filter((line) => !wanted.includes(line))
      .map((line) => `${index} holds something that is no public module: ${line}`),
    ...code.filter((line, i) => code.indexOf(line) !== i).map((line) => `${index} twice: ${line}`),
  ]
  const sorted = code.every((line, i) => line === wanted[i])
  return found.length > 0 || sorted ? found : [`${index}: not in data-flow order`]
}
