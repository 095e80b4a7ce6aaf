/**
 * Suite `overload`: ten times more than a pool of 10 can serve, and then a pool half as fast.
 */
import { type Generator, startGenerator } from "../../load/generator.ts"
import type { Result } from "../../load/job.ts"
import { installPeers } from "../peers.ts"
import { freePort, startServer } from "../process.ts"
import type { Metric, Subject, Suite } from "../suite.ts"
import { VerificationFailed } from "../suite.ts"
import { goodputPlot } from "./plots.ts"
import { contradiction, jobOf, names, type PoolSeen, sampleOf } from "./shape.ts"

interface Spec {
  readonly id: string
  readonly name: string
  readonly command: (port: number, controlPort: number) => ReadonlyArray<string>
  readonly peer: boolean
}

const file = (path: string): string => new URL(path, import.meta.url).pathname

const fastify = (
  id: string,
  name: string,
  guard: string,
  ...more: ReadonlyArray<string>
): Spec => ({
  id,
  name,
  peer: true,
  command: (port, controlPort) => [
    ...["node", file("../peers/overload/fastify.js"), String(port), String(controlPort)],
    ...[guard, ...more],
  ],
})

const specs: ReadonlyArray<Spec> = [
  fastify("fastify", "Fastify", "none"),
  fastify("under-pressure", "Fastify + under-pressure", "none", "cumulative"),
  fastify("under-pressure-interval", "the same, ELU by interval", "none", "interval"),
  {
    id: "hono",
    name: "Hono on Deno",
    peer: true,
    command: (port, controlPort) => [
      ...[Deno.execPath(), "run", "-A", "--quiet", "--no-lock", "--node-modules-dir=manual"],
      ...["--unstable-no-legacy-abort", file("../peers/overload/hono.js")],
      ...[String(port), String(controlPort)],
    ],
  },
  fastify("opossum", "Fastify × opossum", "opossum"),
  fastify("opossum-filter", "Fastify × opossum, filtered", "opossum-filter"),
  fastify("bottleneck", "Fastify × bottleneck, overflow", "bottleneck"),
  fastify("bottleneck-leak", "Fastify × bottleneck, leak", "bottleneck-leak"),
  fastify("p-queue", "Fastify × p-queue", "p-queue"),
  fastify("cockatiel", "Fastify × cockatiel", "cockatiel"),
  fastify("feasibility", "Fastify × 30 lines by hand", "feasibility"),
  {
    id: "weir",
    name: "Weir",
    peer: false,
    command: (port, controlPort) => [
      ...[Deno.execPath(), "run", "-A", "--quiet", "--unstable-no-legacy-abort"],
      ...[file("weir.ts"), String(port), String(controlPort)],
    ],
  },
]

const metric = (name: string, unit: string): Metric => ({ name, unit, range: true })
const metrics: Suite["metrics"] = [
  metric(names.fast, "% of ceiling"),
  metric(names.slow, "% of ceiling"),
  metric(names.late, "%"),
  metric(names.wasted, "%"),
  metric(names.after, "%"),
  metric(names.recovery, "s"),
  { name: names.refusal50, unit: "ms" },
  { name: names.refusal99, unit: "ms" },
  { name: names.decided, unit: "ms" },
  { name: names.waiting, unit: "queries" },
  { name: names.lateness, unit: "ms" },
]

/** Every run of a subject has a process of its own: what one leaves waiting would burden the next. */
const runOnce = async (spec: Spec, generator: Generator, seconds: number, seed: number) => {
  const [port, controlPort] = [freePort(), freePort()]
  const server = await startServer({
    name: spec.name,
    command: spec.command(port, controlPort),
    port,
    path: "/ping",
    ready: (status) => status === 200,
  })
  try {
    await warmUp(port)
    const result = await generator.run(jobOf(port, controlPort, seconds, seed))
    const answer = await fetch(`http://127.0.0.1:${controlPort}/`)
    const pool = await answer.json() as PoolSeen
    const why = contradiction(result, pool)
    if (why !== undefined) throw new VerificationFailed(`${spec.name}: ${why}`)
    return { result, sample: sampleOf(result, pool) }
  } finally {
    await server.stop()
  }
}

/** Past the pool, so that nobody learns anything about queries from it. */
const warmUp = async (port: number): Promise<void> => {
  for (let i = 0; i < 20; i++) {
    await Promise.all(Array.from({ length: 50 }, async () => {
      await (await fetch(`http://127.0.0.1:${port}/ping`)).text()
    }))
  }
}

const subjectOf = (
  spec: Spec,
  idle: Array<Generator>,
  keep: (name: string, result: Result, seconds: number) => void,
): Subject => {
  let round = 0
  return {
    id: spec.id,
    name: spec.name,
    start: () =>
      Promise.resolve({
        warm: () => Promise.resolve(),
        measure: async (seconds) => {
          const generator = idle.pop() ?? startGenerator()
          try {
            // The same arrivals for everybody in a round, others in the next one.
            const { result, sample } = await runOnce(spec, generator, seconds, ++round)
            keep(spec.name, result, seconds)
            return sample
          } finally {
            idle.push(generator)
          }
        },
        stop: () => Promise.resolve(),
      }),
  }
}

/** See the module's documentation. */
export const overload: Suite = {
  name: "overload",
  description: "10 × overload of a pool of 10, then a slow pool: Fastify, Hono, libraries, Weir",
  metrics,
  ids: specs.map(({ id }) => id),
  seconds: 6,
  prepare: async (only) => {
    const wanted = specs.filter(({ id }) => only.length === 0 || only.includes(id))
    const why = wanted.some(({ peer }) => peer) ? await installPeers() : undefined
    const idle: Array<Generator> = []
    const kept = new Map<string, { readonly result: Result; readonly seconds: number }>()
    return {
      subjects: wanted.filter(({ peer }) => why === undefined || !peer).map((spec) =>
        subjectOf(spec, idle, (name, result, seconds) => kept.set(name, { result, seconds }))
      ),
      skipped: why === undefined
        ? []
        : wanted.filter(({ peer }) => peer).map(({ name }) => ({ name, why })),
      plots: () => [{
        file: "overload.svg",
        svg: goodputPlot(wanted.flatMap(({ name }) => {
          const it = kept.get(name)
          return it === undefined ? [] : [{ name, result: it.result, seconds: it.seconds }]
        })),
      }],
      close: async () => {
        await Promise.all(idle.map((generator) => generator.close()))
      },
    }
  },
  targets: [
    {
      name: "Weir at 10×, 200 ms: % of the ceiling",
      limit: [">=", 97],
      value: (read) => read("weir", names.fast),
    },
    {
      name: "Weir at 10×, 400 ms: % of the ceiling",
      limit: [">=", 97],
      value: (read) => read("weir", names.slow),
    },
    {
      name: "Weir: late, % of admitted",
      limit: ["<=", 0.1],
      value: (read) => read("weir", names.late),
    },
    {
      name: "Weir: wasted queries, %",
      limit: ["<=", 0.5],
      value: (read) => read("weir", names.wasted),
    },
    {
      name: "Weir: recovery after the spike, s",
      limit: ["<=", 1],
      value: (read) => read("weir", names.recovery),
    },
    {
      name: "Weir: refusal decided in the process, p99, ms",
      limit: ["<=", 2],
      value: (read) => read("weir", names.decided),
    },
    {
      name: "Weir: refusal seen by the client, p99, ms",
      limit: ["<=", 5],
      value: (read) => read("weir", names.refusal99),
    },
    {
      name: "Weir / best library, 400 ms",
      limit: [">=", 1],
      value: (read) =>
        read("weir", names.slow) /
        Math.max(
          ...["cockatiel", "opossum", "opossum-filter", "bottleneck", "bottleneck-leak", "p-queue"]
            .map((id) => read(id, names.slow)),
        ),
    },
  ],
}
