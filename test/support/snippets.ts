/**
 * `deno task docs`: every `ts` fence in README.md, docs and the docstrings of src is a test.
 *
 * A fence runs as a module of its own, with no permission but the loopback network, reading and the
 * environment. A fence marked `ts ignore` (a server that would never end, say) is type-checked only.
 */
import { relative } from "node:path"
import { checkedOnly } from "./fences.ts"
import { filesUnder, root } from "./tree.ts"

const permissions = ["--no-prompt", "--allow-net=127.0.0.1", "--allow-read", "--allow-env"]

/** Every file that has a fence; a file without one would only be type-checked once more. */
const documents = async (): Promise<ReadonlyArray<string>> => {
  const below = [...await filesUnder("docs"), ...await filesUnder("src")]
  const files = [`${root}/README.md`, ...below.filter((file) => /\.(md|ts)$/.test(file))]
  const texts = await Promise.all(files.map((file) => Deno.readTextFile(file).catch(() => "")))
  return files.filter((_, i) => /^\s*\*?\s*```ts\b/m.test(texts[i] as string))
}

const deno = async (args: ReadonlyArray<string>): Promise<number> => {
  const child = new Deno.Command(Deno.execPath(), { args: [...args], cwd: root, stdin: "null" })
  return (await child.spawn().status).code
}

/** Inside the repository, because there the import map of deno.json holds. */
const scratch = `${root}/.snippets`

const check = async (files: ReadonlyArray<string>): Promise<number> => {
  const modules: Array<string> = []
  await Deno.mkdir(scratch, { recursive: true })
  try {
    for (const file of files) {
      for (const { line, code } of checkedOnly(await Deno.readTextFile(file))) {
        const name = `${relative(root, file).replaceAll(/[/.]/g, "_")}_line_${line}.ts`
        await Deno.writeTextFile(`${scratch}/${name}`, code)
        modules.push(`${scratch}/${name}`)
      }
    }
    return modules.length === 0 ? 0 : await deno(["check", "--quiet", ...modules])
  } finally {
    await Deno.remove(scratch, { recursive: true })
    console.log(`${modules.length} snippets type-checked only (ts ignore)`)
  }
}

const files = await documents()
const checked = await check(files)
if (checked !== 0) Deno.exit(checked)
Deno.exit(await deno(["test", "--doc", "--permit-no-files", ...permissions, ...files]))
