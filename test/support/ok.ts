/**
 * `deno task ok`: the gate. Runs its steps in order and stops at the first that fails.
 *
 *     deno task ok
 *     deno task ok --only lint,check
 *     deno task ok --skip test,examples
 */
import { filesUnder, root } from "./tree.ts"

interface Step {
  readonly name: string
  /** Arguments of `deno`; `undefined` when there is nothing to do yet. */
  readonly args: () => Promise<ReadonlyArray<string> | undefined>
}

const vitest = ["run", "-A", "npm:vitest@5.1.0", "run", "--config", "test/vitest.config.ts"]

const sources = async (): Promise<ReadonlyArray<string> | undefined> => {
  const folders = ["src", "test", "examples"]
  const has = await Promise.all(
    folders.map(async (folder) => (await filesUnder(folder)).some((file) => file.endsWith(".ts"))),
  )
  const filled = folders.filter((_, i) => has[i])
  return filled.length === 0 ? undefined : ["check", ...filled]
}

const steps: ReadonlyArray<Step> = [
  { name: "fmt", args: () => Promise.resolve(["fmt", "--check"]) },
  { name: "lint", args: () => Promise.resolve(["lint", "--quiet"]) },
  { name: "check", args: sources },
  { name: "doc:lint", args: () => Promise.resolve(["doc", "--lint", "--quiet", "src/index.ts"]) },
  {
    name: "arch",
    args: () => Promise.resolve([...vitest, "test/architecture.test.ts", "test/docs.test.ts"]),
  },
  { name: "test", args: () => Promise.resolve(["run", "-A", "test/support/test.ts", "--gate"]) },
  { name: "docs", args: () => Promise.resolve(["run", "-A", "test/support/snippets.ts"]) },
  { name: "examples", args: () => Promise.resolve([...vitest, "test/examples.test.ts"]) },
  {
    name: "publish",
    args: () => Promise.resolve(["publish", "--dry-run", "--allow-dirty", "--quiet"]),
  },
]

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`

const run = async (step: Step): Promise<number> => {
  const args = await step.args()
  if (args === undefined) {
    console.log(`-- ${step.name}: nothing to do`)
    return 0
  }
  const start = performance.now()
  console.log(`\n-- ${step.name}: deno ${args.join(" ")}`)
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: root,
    stdin: "null",
  }).spawn().status
  console.log(`-- ${step.name}: ${code === 0 ? "ok" : "FAILED"} in ${seconds(start)}`)
  return code
}

const select = (args: ReadonlyArray<string>): ReadonlyArray<Step> | string => {
  let selected = steps
  for (let i = 0; i < args.length; i += 2) {
    const [flag, names] = [args[i], args[i + 1]?.split(",") ?? []]
    const unknown = names.filter((name) => !steps.some((step) => step.name === name))
    if ((flag !== "--only" && flag !== "--skip") || names.length === 0 || unknown.length > 0) {
      return `Cannot run the gate with "${args.join(" ")}". Use --only or --skip with ${
        steps.map((step) => step.name).join(",")
      }.`
    }
    selected = selected.filter((step) => names.includes(step.name) === (flag === "--only"))
  }
  return selected
}

const main = async (): Promise<number> => {
  const selected = select(Deno.args.filter((arg) => arg !== "--"))
  if (typeof selected === "string") {
    console.error(selected)
    return 2
  }
  const start = performance.now()
  for (const step of selected) {
    const code = await run(step)
    if (code !== 0) {
      console.error(
        `\nThe gate stopped at "${step.name}" (exit code ${code}). ` +
          `Fix what is printed above, then run: deno task ok --only ${step.name}`,
      )
      return 1
    }
  }
  console.log(`\nok: ${selected.map((step) => step.name).join(", ")} in ${seconds(start)}`)
  return 0
}

Deno.exit(await main())
