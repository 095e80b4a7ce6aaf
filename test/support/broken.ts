/**
 * `deno task broken 02`: runs the exercise of an example and shows which line it changed.
 *
 *     deno task broken 02
 *     deno task broken 02 --trace
 */
import { basename } from "node:path"
import { numbered, parse, runBroken } from "./examples.ts"

const [number = "", ...more] = Deno.args.filter((arg) => arg !== "--")
const files = await numbered()
const file = files.find((file) => basename(file).startsWith(`${number.padStart(2, "0")}-`))
if (file === undefined) {
  const all = files.map((file) => basename(file).slice(0, 2)).join(", ")
  console.error(`Which example? Say its number, as in deno task broken 02. There are ${all}.`)
  Deno.exit(2)
}
const text = await Deno.readTextFile(file)
const example = parse(text)
if (typeof example === "string") {
  console.error(`${basename(file)} ${example}.`)
  Deno.exit(1)
}
const [before, after] = [text.split("\n"), example.broken?.text.split("\n") ?? []]
const at = before.findIndex((line) => line.includes("// Break it: "))
console.log(`${basename(file)}, line ${at + 2}:`)
console.log(`- ${before[at + 1]?.trim()}\n+ ${after[at]?.trim() || "(nothing)"}\n`)
const outcome = await runBroken(example, file, 60_000, more)
console.log(outcome.whole)
if (outcome.errors !== "") console.error(outcome.errors)
Deno.exit(outcome.code)
