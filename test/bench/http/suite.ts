/**
 * Suite `http`: what one request costs the server, in CPU time.
 */
import { type Generator, startGenerator } from "../generator.ts"
import type { Job } from "../load.ts"
import { installPeers } from "../peers.ts"
import { cpuMicros, freePort, startServer } from "../process.ts"
import { type Skipped, type Subject, type Suite, VerificationFailed } from "../suite.ts"
import { helloText, stockOf } from "./shared.ts"

const CONNECTIONS = 64
const WARM_UP = { requests: 30_000, seconds: 20 }
const CPU = "server CPU per request"

type Load = Pick<Job, "method" | "path" | "body" | "expect">

const text: Load = {
  method: "GET",
  path: "/hello",
  expect: { status: 200, body: helloText },
}
const json: Load = {
  method: "GET",
  path: "/stock/sku-1",
  expect: { status: 200, body: JSON.stringify(stockOf("sku-1")) },
}
const post: Load = {
  method: "POST",
  path: "/orders",
  body: JSON.stringify({ sku: "sku-1", count: 2 }),
  expect: { status: 200, body: JSON.stringify(stockOf("sku-1", 2)) },
}
const refused: Load = {
  ...json,
  expect: {
    status: 503,
    includes: [
      ...[`"status":503`, `"reason":"QueueFull"`, `"resource":"pool"`],
      ...[`"inUse":64,"capacity":64,"waiting":64`, `"predictedWaitMs":`, `"retryAfterMs":`],
    ],
  },
}

interface Spec {
  readonly id: string
  readonly name: string
  readonly baseline?: string
  readonly load: Load
  /** The command of its process, its port left out. */
  readonly command: (port: number) => ReadonlyArray<string>
  readonly peer?: boolean
}

const file = (path: string): string => new URL(path, import.meta.url).pathname
const deno = (path: string, ...args: ReadonlyArray<string>) => (port: number) => [
  ...[Deno.execPath(), "run", "-A", "--quiet", "--unstable-no-legacy-abort"],
  ...[file(path), String(port), ...args],
]
const node = (path: string) => (port: number) => ["node", file(path), String(port)]
// Its packages are those of its own folder, and this project's lock file is not its business.
const hono = (port: number) => [
  ...[Deno.execPath(), "run", "-A", "--quiet", "--no-lock", "--node-modules-dir=manual"],
  ...["--unstable-no-legacy-abort", file("../peers/hono.js"), String(port)],
]

const specs: ReadonlyArray<Spec> = [
  { id: "raw-text", name: "raw Deno.serve, text", load: text, command: deno("raw.ts", "text") },
  { id: "raw-json", name: "raw Deno.serve, JSON", load: json, command: deno("raw.ts", "json") },
  { id: "raw-post", name: "raw Deno.serve, POST", load: post, command: deno("raw.ts", "post") },
  {
    id: "router-text",
    name: "Effect HttpRouter, text",
    baseline: "raw-text",
    load: text,
    command: deno("effect.ts", "text"),
  },
  {
    id: "api-json",
    name: "Effect HttpApi, JSON",
    baseline: "raw-json",
    load: json,
    command: deno("effect.ts", "api"),
  },
  {
    id: "api-post",
    name: "Effect HttpApi, POST",
    baseline: "raw-post",
    load: post,
    command: deno("effect.ts", "api"),
  },
  ...([["text", text], ["json", json], ["post", post]] as const).flatMap(([kind, load]) => {
    const label = kind === "text" ? kind : kind.toUpperCase()
    const baseline = `raw-${kind}`
    return [
      {
        id: `hono-${kind}`,
        name: `Hono on Deno, ${label}`,
        baseline,
        load,
        command: hono,
        peer: true,
      },
      {
        id: `fastify-${kind}`,
        name: `Fastify on Node, ${label}`,
        baseline,
        load,
        command: node("../peers/fastify.js"),
        peer: true,
      },
    ]
  }),
  {
    id: "weir-bare",
    name: "Weir route without a task, text",
    baseline: "raw-text",
    load: text,
    command: deno("weir.ts", "bare"),
  },
  {
    id: "weir-text",
    name: "Weir supervised route, text",
    baseline: "raw-text",
    load: text,
    command: deno("weir.ts", "text"),
  },
  {
    id: "weir-json",
    name: "Weir HttpApi + policy, JSON",
    baseline: "raw-json",
    load: json,
    command: deno("weir.ts", "api"),
  },
  {
    id: "weir-post",
    name: "Weir HttpApi + policy, POST",
    baseline: "raw-post",
    load: post,
    command: deno("weir.ts", "api"),
  },
  {
    id: "weir-refused",
    name: "Weir HttpApi + policy, refused",
    baseline: "raw-json",
    load: refused,
    command: deno("weir.ts", "refused"),
  },
]

const subjectOf = (spec: Spec, generator: Generator): Subject => ({
  id: spec.id,
  name: spec.name,
  baseline: spec.baseline,
  start: async () => {
    const port = freePort()
    const server = await startServer({
      name: spec.name,
      command: spec.command(port),
      port,
      path: spec.load.path,
      ready: () => true, // what it answers is checked with every request of the load
    })
    const load = async (seconds: number) => {
      const result = await generator.run({ ...spec.load, port, connections: CONNECTIONS, seconds })
      if (result.wrong > 0 || result.requests === 0) {
        throw new VerificationFailed(
          `${spec.name}: ${result.wrong} wrong answers among ${result.requests}. ` +
            `The first: ${result.problem}`,
        )
      }
      return result
    }
    try {
      const until = performance.now() + WARM_UP.seconds * 1000
      for (let served = 0; served < WARM_UP.requests && performance.now() < until;) {
        served += (await load(0.5)).requests
      }
    } catch (error) {
      await server.stop()
      throw error
    }
    return {
      warm: async (seconds) => void await load(seconds),
      measure: async (seconds) => {
        const before = await cpuMicros(server.pid)
        const result = await load(seconds)
        const cpu = await cpuMicros(server.pid) - before
        return {
          [CPU]: cpu / result.requests,
          "requests": result.requests / result.seconds,
          "server busy": cpu / 10_000 / result.seconds,
        }
      },
      stop: server.stop,
    }
  },
})

/** See the module's documentation. */
export const http: Suite = {
  name: "http",
  description: "server CPU per request: raw Deno.serve, Effect, Hono, Fastify, Weir",
  metrics: [
    { name: CPU, unit: "us" },
    { name: "requests", unit: "1/s" },
    { name: "server busy", unit: "%" },
  ],
  ids: specs.map(({ id }) => id),
  prepare: async (only) => {
    const wanted = specs.filter(({ id }) => only.length === 0 || only.includes(id))
    const why = wanted.some(({ peer }) => peer) ? await installPeers() : undefined
    const skipped: ReadonlyArray<Skipped> = why === undefined
      ? []
      : wanted.filter(({ peer }) => peer).map(({ name }) => ({ name, why }))
    const generator = startGenerator()
    return {
      subjects: wanted.filter(({ peer }) => why === undefined || !peer)
        .map((spec) => subjectOf(spec, generator)),
      skipped,
      close: generator.close,
    }
  },
  targets: [
    {
      name: "plain supervised route / raw text",
      limit: ["<=", 2.2],
      value: (read) => read("weir-text") / read("raw-text"),
    },
    {
      name: "HttpApi with policy / raw JSON",
      limit: ["<=", 3.5],
      value: (read) => read("weir-json") / read("raw-json"),
    },
    {
      name: "HttpApi with policy / raw JSON (lead)",
      limit: ["<=", 3.0],
      value: (read) => read("weir-json") / read("raw-json"),
    },
    {
      name: "HttpApi with policy / Fastify",
      limit: ["<", 1],
      value: (read) => read("weir-json") / read("fastify-json"),
    },
    {
      name: "HttpApi with policy / Effect HttpApi",
      limit: ["<", 1],
      value: (read) => read("weir-json") / read("api-json"),
    },
    {
      name: "refusal net of raw / 200 net of raw",
      limit: ["<=", 0.5],
      value: (read) =>
        (read("weir-refused") - read("raw-json")) / (read("weir-json") - read("raw-json")),
    },
  ],
}
