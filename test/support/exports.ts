/** `deno task exports`: lists the public modules of src in `src/index.ts` and in deno.json. */
import { wantedExports, wantedIndex } from "./architecture.ts"
import { sourceFiles } from "./graph.ts"
import { root } from "./tree.ts"

const files = await sourceFiles()

const index = `${root}/src/index.ts`
const before = await Deno.readTextFile(index)
const header = /^\/\*\*[\s\S]*?\*\/\n/.exec(before)?.[0] ?? ""
await Deno.writeTextFile(index, `${header}${wantedIndex(before, files).join("\n")}\n`)

const config = `${root}/deno.json`
const exports = wantedExports(files)
const block = `"exports": {\n${
  Object.entries(exports).map(([name, file]) => `    "${name}": "${file}"`).join(",\n")
}\n  }`
const text = await Deno.readTextFile(config)
await Deno.writeTextFile(config, text.replace(/"exports": \{[^}]*\}/, () => block))

console.log(`${Object.keys(exports).length - 1} public modules in src/index.ts and deno.json`)
