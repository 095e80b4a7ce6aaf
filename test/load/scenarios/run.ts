/**
 * Scenarios over real sockets: a process of the service for each, one PostgreSQL for all.
 */
import { Effect, Redacted } from "effect"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { BenchError, freePort, startServer } from "../../bench/process.ts"
import { machine } from "../../bench/machine.ts"
import { refreshDocs, table } from "../../bench/report.ts"
import { significant } from "../../bench/stats.ts"
import * as EmbeddedPostgres from "../../../src/store/EmbeddedPostgres.ts"
import { lengthOf } from "../../sim/scenario.ts"
import { type Scenario, scenarios, select } from "../../sim/scenarios.ts"
import type { Command } from "../args.ts"
import { type Generator, startGenerator } from "../generator.ts"
import type { Job, Result } from "../job.ts"
import { write } from "../progress.ts"
import { invalid } from "../report.ts"
import { LoadError } from "../target.ts"
import { type Around, type Measure, measuresOf, type Stopped, verdict } from "./measures.ts"
import { jobOf, paced, type Seen, setupOf } from "./plan.ts"

/** Those that make sense over sockets; the others live in virtual time. */
const overSockets = ["S0", "S1", "S2", "S3", "S4", "S5", "S6", "S8", "S11", "S13", "S15"]

/** Parts of the library without which a scenario says nothing. */
const needs: Readonly<Record<string, readonly [file: string, what: string]>> = {
  S8: ["src/admission/Criticality.ts", "classes of requests"],
}

/** What was run, and what came of it. */
export interface Run {
  readonly id: string
  readonly title: string
  readonly measures: ReadonlyArray<Measure & { readonly verdict: string | undefined }>
  readonly lateness: number
  readonly invalid: string | undefined
  readonly result: Result
}

export const runScenarios = async (
  command: Extract<Command, { _tag: "Scenarios" }>,
): Promise<number> => {
  const chosen = choose(command.only)
  if (command.list) {
    console.log(chosen.map(({ id, title }) => `${id.padEnd(16)} ${title}`).join("\n"))
    return 0
  }
  const at = new Date().toISOString()
  const where = await machine()
  const runs: Array<Run> = []
  const skipped: Array<string> = []
  const runAll = async (url: string): Promise<void> => {
    const generator = startGenerator()
    try {
      for (const scenario of chosen) {
        const missing = await lacks(scenario)
        if (missing !== undefined) {
          skipped.push(`${scenario.id} – needs ${missing}, which are not there yet`)
          continue
        }
        const run = paced(scenario, command.pace)
        write(`${run.id}: ${run.title} (${Math.round(lengthOf(run) / 1000)} s)`)
        runs.push(await runOne(run, generator, url, command.seed))
      }
    } finally {
      await generator.close()
    }
  }
  await withDatabase(runAll).catch((error) => {
    throw error instanceof BenchError ? new LoadError(error.message) : error
  })
  const pace = command.pace === 1
    ? ""
    : `; phases of more than 5 s ${command.pace} times as long as written`
  const text = [
    `${at.slice(0, 10)}; ${where}; seed ${command.seed}${pace}.`,
    toTable(runs),
    ...runs.flatMap(({ id, invalid }) => invalid === undefined ? [] : [`${id}: ${invalid}`]),
    ...skipped.map((it) => `Not run: ${it}.`),
  ].join("\n\n")
  if (Deno.stderr.isTerminal()) write("")
  console.log(text)
  if (command.json !== undefined) {
    await Deno.writeTextFile(
      command.json,
      `${
        JSON.stringify(
          { at, machine: where, seed: command.seed, pace: command.pace, runs, skipped },
          null,
          2,
        )
      }\n`,
    )
  }
  if (command.writeDocs) {
    const docs = new URL("../../../docs/load.md", import.meta.url)
    await Deno.writeTextFile(docs, refreshDocs(await Deno.readTextFile(docs), "scenarios", text))
  }
  return runs.some(({ invalid }) => invalid !== undefined) && !command.allowLate ? 1 : 0
}

const choose = (only: ReadonlyArray<string>): ReadonlyArray<Scenario> => {
  const sockets = ({ id }: Scenario) => overSockets.includes(id.split("/")[0]!)
  if (only.length === 0) return scenarios.filter(sockets)
  return only.flatMap((id) => {
    const found = select(id)
    if (found.length === 0) {
      throw new LoadError(
        `There is no scenario "${id}". deno task load scenarios --list shows them.`,
      )
    }
    if (!found.some(sockets)) {
      throw new LoadError(
        `${id} runs in virtual time alone. Over sockets: ${overSockets.join(", ")}.`,
      )
    }
    return found
  })
}

const lacks = async ({ id }: Scenario): Promise<string | undefined> => {
  const need = needs[id.split("/")[0]!]
  if (need === undefined) return undefined
  const there = await Deno.stat(new URL(`../../../${need[0]}`, import.meta.url)).catch(() =>
    undefined
  )
  return there === undefined ? need[1] : undefined
}

/** The server of DATABASE_URL, or an embedded one for as long as the scenarios run. */
const withDatabase = (use: (url: string) => Promise<void>): Promise<void> => {
  const given = Deno.env.get("DATABASE_URL")
  if (given !== undefined) return use(given)
  return Effect.runPromise(Effect.scoped(Effect.flatMap(
    EmbeddedPostgres.make({
      directory: join(tmpdir(), `weir-load-postgres-${Deno.uid() ?? "user"}`),
      progress: (line) => Effect.sync(() => write(line)),
    }),
    ({ url }) => Effect.promise(() => use(Redacted.value(url))),
  )))
}

const runOne = async (
  scenario: Scenario,
  generator: Generator,
  url: string,
  seed: number,
): Promise<Run> => {
  const [port, controlPort] = [freePort(), freePort()]
  const service = await startServer({
    name: `The service of ${scenario.id}`,
    command: [
      ...[Deno.execPath(), "run", "-A", "--quiet", "--unstable-no-legacy-abort"],
      new URL("./service.ts", import.meta.url).pathname,
      JSON.stringify(setupOf(scenario, controlPort)),
    ],
    port,
    path: "/ping",
    ready: (status) => status === 200,
    env: { PORT: String(port), DATABASE_URL: url },
  })
  try {
    await warmUp(port, scenario)
    const job = jobOf(scenario, port, controlPort, seed)
    const before = await seenAt(controlPort)
    const stopping = scenario.stopAtMs === undefined
      ? undefined
      : stopAt(service, port, scenario.stopAtMs)
    const result = await generator.run(job)
    const stop = await stopping
    const seen = stop === undefined ? await quiescent(controlPort, before) : undefined
    return judge(scenario, job, result, { seen, stop })
  } finally {
    await service.stop()
  }
}

const judge = (scenario: Scenario, job: Job, result: Result, around: Around): Run => ({
  id: scenario.id,
  title: scenario.title,
  measures: measuresOf(scenario, job, result, around)
    .map((measure) => ({ ...measure, verdict: verdict(measure) })),
  lateness: result.lateness.p99,
  // A process that stops refuses connections and does not change any more: both are meant.
  invalid: around.stop === undefined && result.problem !== null
    ? `Not valid: ${result.problem}`
    : invalid(result),
  result,
})

/** Opens the pool's connections and lets the compiler see the way; not where the first second counts. */
const warmUp = async (port: number, scenario: Scenario): Promise<void> => {
  const asked = async (path: string) => {
    await (await fetch(`http://127.0.0.1:${port}${path}`)).text()
  }
  for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 50 }, () => asked("/ping")))
  const paths = ["/main", ...(scenario.pools?.["other"] === undefined ? [] : ["/other"])]
  for (const path of paths) {
    for (let i = 0; i < 3; i++) {
      await Promise.all(Array.from({ length: scenario.pool.capacity }, () => asked(path)))
    }
  }
}

const seenAt = async (controlPort: number): Promise<Seen> =>
  await (await fetch(`http://127.0.0.1:${controlPort}/`)).json() as Seen

/** What the service says once nothing runs any more, the warm-up taken out. At most 5 s later. */
const quiescent = async (controlPort: number, before: Seen): Promise<Seen> => {
  const until = performance.now() + 5000
  while (true) {
    const seen = await seenAt(controlPort)
    const held = seen.pools.some(({ inUse, waiting }) => inUse + waiting > 0)
    if (held && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      continue
    }
    const earlier = new Map(before.pools.map((pool) => [pool.name, pool.started]))
    return {
      answered: seen.answered - before.answered,
      pools: seen.pools.map((pool) => ({
        ...pool,
        started: pool.started - (earlier.get(pool.name) ?? 0),
      })),
    }
  }
}

/** Sends SIGTERM at that moment and watches readiness and the end of the process. */
const stopAt = async (
  service: Awaited<ReturnType<typeof startServer>>,
  port: number,
  atMs: number,
): Promise<Stopped> => {
  await new Promise((resolve) => setTimeout(resolve, atMs))
  const ready = () =>
    fetch(`http://127.0.0.1:${port}/health/ready`).then(async (response) => {
      await response.body?.cancel()
      return response.status === 200
    }, () => false)
  await ready() // opens the connection that the next ones use
  const began = performance.now()
  Deno.kill(service.pid, "SIGTERM")
  while (await ready()) { /* again at once */ }
  const readyOffMs = performance.now() - began
  await service.ended
  return { readyOffMs, exitMs: performance.now() - began, exitCode: await service.code, atMs }
}

const toTable = (runs: ReadonlyArray<Run>): string =>
  table(
    ["scenario", "measure", "value", "unit", "pass", "lead", ""],
    runs.flatMap(({ id, measures }) =>
      measures.map(({ name, unit, value, limits, verdict }) => [
        id,
        name,
        String(significant(value, 4)),
        unit,
        limits === undefined ? "" : `${limits.op} ${significant(limits.pass)}`,
        limits === undefined ? "" : `${limits.op} ${significant(limits.lead)}`,
        verdict === "missed" ? "**missed**" : verdict ?? "",
      ])
    ),
  )
