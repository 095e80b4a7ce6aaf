/** `deno task exports`: writes the exports map of deno.json from the public modules in `src`. */
import { wantedExports } from "./architecture.ts"
import { sourceFiles } from "./graph.ts"
import { root } from "./tree.ts"

const path = `${root}/deno.json`
const text = await Deno.readTextFile(path)
const exports = wantedExports(await sourceFiles())
const block = `"exports": {\n${
  Object.entries(exports).map(([name, file]) => `    "${name}": "${file}"`).join(",\n")
}\n  }`
await Deno.writeTextFile(path, text.replace(/"exports": \{[^}]*\}/, () => block))
console.log(`deno.json: ${Object.keys(exports).length} exports`)
