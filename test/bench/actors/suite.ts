/**
 * Suite `actors`: what a message, an answer, an idle actor and a restart cost.
 */
import type { Read, Subject, Suite } from "../suite.ts"
import { startSubject } from "../worker.ts"
import type { Job, Workload } from "./shared.ts"

const libraries = {
  weir: "Weir",
  naive: "Effect: Queue, take",
  batched: "Effect: Queue, takeAll",
  nact: "nact",
  xstate: "XState, machine",
  transition: "XState, fromTransition",
  promise: "promise mailbox (floor)",
} as const
type Library = keyof typeof libraries

const all = Object.keys(libraries) as ReadonlyArray<Library>
const suspending = all.filter((id) => id !== "xstate" && id !== "transition")
const supervised: ReadonlyArray<Library> = ["weir", "nact"]

/** Its title, who takes part in it, and who the others are compared with. */
const plan: Readonly<Record<Workload, readonly [string, ReadonlyArray<Library>, Library]>> = {
  "tell": ["Tells, 1,024 outstanding", all, "naive"],
  "ask": ["Asks of an idle actor, one after the other", all, "naive"],
  "contended": ["64 askers, one actor, handler synchronous", all, "naive"],
  "contended-suspending": ["64 askers, one actor, handler suspends once", suspending, "naive"],
  "population": ["100,000 idle actors", all, "naive"],
  "restart": ["Crash to first message in the next incarnation, one waiting", supervised, "nact"],
  "restart-queued": [
    "Crash to first message in the next incarnation, 1,000 waiting",
    supervised,
    "nact",
  ],
}

const [tell, ask, contended, suspended, population, restart, queued] = Object.values(plan)
  .map(([title]) => title)

const specs = (Object.entries(plan) as Array<[Workload, typeof plan[Workload]]>).flatMap(
  ([workload, [title, ids, baseline]]) =>
    ids.map((library) => ({
      id: `${workload}-${library}`,
      name: libraries[library],
      title,
      baseline: library === baseline ? undefined : `${workload}-${baseline}`,
      library,
      workload,
    })),
)
type Spec = typeof specs[number]

/** Before the first round: so many runs of so many seconds. */
const WARM_UP = { runs: 6, seconds: 0.5 }

/**
 * So many times as long as the others. Each suspension of a fiber leaves something behind in Deno for
 * as long as the fiber goes on; the full collections that this causes come every few seconds and take
 * up to half a second, so that a short measurement shows either none of their cost or all of it.
 */
const lasting: Partial<Record<Workload, number>> = { "contended-suspending": 4 }

const subjectOf = ({ baseline, id, library, name, title, workload }: Spec): Subject => ({
  id,
  name,
  workload: title,
  baseline,
  start: () =>
    startSubject({
      id,
      args: [
        "--v8-flags=--expose-gc",
        ...[new URL("./worker.ts", import.meta.url).pathname, library, workload],
      ],
      job: (seconds, warm): Job => ({
        seconds: warm ? seconds : seconds * (lasting[workload] ?? 1),
        warm,
      }),
      warmUp: WARM_UP,
    }),
})

/** The quickest of some, by a metric of which less is better. */
const best = (read: Read, workload: Workload, of: ReadonlyArray<Library>, metric: string): number =>
  Math.min(...of.map((library) => read(`${workload}-${library}`, metric)))

const effects: ReadonlyArray<Library> = ["naive", "batched"]
const peers = all.filter((id) => id !== "weir" && id !== "promise")

/** See the module's documentation. */
export const actors: Suite = {
  name: "actors",
  description: "messages, answers, memory and restarts of actors: Weir, Effect, nact, XState",
  metrics: [
    { name: "CPU per message", unit: "ns", workload: tell },
    { name: "messages", unit: "1/s", workload: tell },
    { name: "CPU per ask", unit: "us", workload: ask },
    { name: "time per ask", unit: "us", workload: ask },
    { name: "p50", unit: "us", workload: ask },
    { name: "p99", unit: "us", workload: ask },
    ...[contended, suspended].flatMap((workload) => [
      { name: "CPU per ask", unit: "us", workload },
      { name: "time per ask", unit: "us", workload },
    ]),
    { name: "heap per idle actor", unit: "bytes", workload: population },
    { name: "start and first ask", unit: "us", workload: population },
    { name: "stop", unit: "us", workload: population },
    ...[restart, queued].flatMap((workload) => [
      { name: "restart p50", unit: "us", workload },
      { name: "restart p99", unit: "us", workload },
    ]),
  ],
  ids: specs.map(({ id }) => id),
  prepare: (only) =>
    Promise.resolve({
      subjects: specs.filter(({ id }) => only.length === 0 || only.includes(id)).map(subjectOf),
      skipped: [],
      close: () => Promise.resolve(),
    }),
  targets: [
    {
      name: "tells per second",
      limit: [">=", 1_000_000],
      value: (read) => read("tell-weir", "messages"),
    },
    ...peers.map((peer) => ({
      name: `tells, CPU: ${libraries[peer]} / Weir`,
      limit: [">", 1] as const,
      value: (read: Read) => read(`tell-${peer}`) / read("tell-weir"),
    })),
    {
      name: "ask of an idle actor, µs",
      limit: ["<=", 2.5],
      value: (read) => read("ask-weir", "time per ask"),
    },
    {
      name: "ask of an idle actor, CPU: better of the two on Effect / Weir",
      limit: [">=", 1.7],
      value: (read) => best(read, "ask", effects, "CPU per ask") / read("ask-weir", "CPU per ask"),
    },
    ...(["contended", "contended-suspending"] as const).map((workload) => ({
      name: `${plan[workload][0]}, CPU: Weir / better of the two on Effect`,
      limit: ["<=", 1] as const,
      value: (read: Read) =>
        read(`${workload}-weir`, "CPU per ask") / best(read, workload, effects, "CPU per ask"),
    })),
    {
      name: "heap per idle actor, bytes",
      limit: ["<=", 2048],
      value: (read) => read("population-weir", "heap per idle actor"),
    },
  ],
}
