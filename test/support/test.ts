/**
 * `deno task test`: runs vitest under Deno, once with the embedded PostgreSQL and, when DATABASE_URL
 * is set, once more against that server for the test files that use a database. The last line of
 * the output is `N passed, N failed`.
 *
 *     deno task test                              every fast test
 *     deno task test test/task -t "cancels"       only some (vitest's own arguments)
 *     deno task test --suite crash                a slow suite: crash or soak
 */
import { relative } from "node:path"
import { type Counts, countsLine, readReport, sum } from "./report.ts"
import { usersOfTheDatabase } from "./second_pass.ts"
import { filesUnder, root } from "./tree.ts"

const vitest = "npm:vitest@5.1.0"

interface Pass {
  readonly title: string
  readonly env: Readonly<Record<string, string>>
  readonly args: ReadonlyArray<string>
}

/** The gate runs these files as steps of their own. */
const stepsOfTheGate = ["architecture", "docs", "examples"]
  .flatMap((name) => ["--exclude", `test/${name}.test.ts`])

const runPass = async (pass: Pass): Promise<Counts> => {
  console.log(`\n== ${pass.title}`)
  const report = await Deno.makeTempFile({ prefix: "weir-test-", suffix: ".json" })
  try {
    const { DATABASE_URL: _, ...inherited } = Deno.env.toObject()
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", vitest, "run", "--config", "test/vitest.config.ts"],
        ...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
        ...pass.args,
      ],
      cwd: root,
      env: { ...inherited, ...pass.env },
      clearEnv: true,
      stdin: "null",
    }).spawn()
    const { code } = await child.status
    return readReport(await Deno.readTextFile(report), code)
  } finally {
    await Deno.remove(report)
  }
}

const databaseFiles = async (folder: string): Promise<ReadonlyArray<string>> =>
  usersOfTheDatabase(
    (await filesUnder(folder)).filter((file) => file.endsWith(".test.ts"))
      .map((file) => relative(root, file)),
  )

const main = async (): Promise<number> => {
  const args = Deno.args.filter((arg) => arg !== "--")
  const at = args.indexOf("--suite")
  const suite = at < 0 ? "fast" : args.splice(at, 2)[1] ?? ""
  if (!["fast", "crash", "soak"].includes(suite)) {
    console.error(`Cannot run suite "${suite}": it does not exist. Use --suite crash or soak.`)
    return 2
  }
  const gate = args.indexOf("--gate")
  const own = gate < 0 ? [] : args.splice(gate, 1).flatMap(() => stepsOfTheGate)
  const env = { WEIR_TEST_SUITE: suite }
  const results = [
    await runPass({
      title: `${suite} tests, embedded PostgreSQL`,
      env,
      args: [...args, ...own],
    }),
  ]
  const url = Deno.env.get("DATABASE_URL")
  const folder = suite === "fast" ? "test" : `test/${suite}`
  const inSuite = (file: string) => suite !== "fast" || !/^test\/(crash|soak)\//.test(file)
  const files = url === undefined ? [] : (await databaseFiles(folder)).filter(inSuite)
  if (url !== undefined && args.length === 0 && files.length > 0) {
    results.push(
      await runPass({
        title: `database tests again, on DATABASE_URL (${files.length} files)`,
        env: { ...env, WEIR_TEST_DATABASE_URL: url },
        args: files,
      }),
    )
  }
  const total = sum(results)
  for (const problem of total.problems) console.error(problem)
  console.log(countsLine(total))
  return total.failed > 0 || total.problems.length > 0 ? 1 : 0
}

Deno.exit(await main())
