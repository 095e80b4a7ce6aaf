/**
 * Suite `admission`: what the decision about a request costs, and how long it takes. No sockets: the
 * same calls that the edge makes, and one slot taken and given back in each bounded thing.
 */
import type { Subject, Suite } from "../suite.ts"
import { startSubject } from "../worker.ts"
import type { Job } from "./shared.ts"

const specs = {
  "off": "all layers off, nothing bounded",
  "off-1": "all layers off, 1 bounded thing",
  "on-0": "everything on, nothing bounded",
  "on-1": "everything on, 1 bounded thing",
  "on-3": "everything on, 3 bounded things",
  "refused": "everything on, refused: 160 wait, of 3 classes and 20 tenants",
} as const
type Id = keyof typeof specs

const ids = Object.keys(specs) as ReadonlyArray<Id>

/** Before the first round: so many runs of so many seconds. */
const WARM_UP = { runs: 4, seconds: 0.5 }

const subjectOf = (id: Id): Subject => ({
  id,
  name: specs[id],
  baseline: id === "off" ? undefined : "off",
  start: () =>
    startSubject({
      id,
      args: [new URL("./worker.ts", import.meta.url).pathname, id],
      job: (seconds): Job => ({ seconds }),
      warmUp: WARM_UP,
    }),
})

/** See the module's documentation. */
export const admission: Suite = {
  name: "admission",
  description: "what deciding about a request costs: off, on, with 1 and 3 bounded things, refused",
  metrics: [
    { name: "CPU per request", unit: "us" },
    { name: "p50", unit: "us" },
    { name: "p99", unit: "us" },
  ],
  ids,
  prepare: (only) =>
    Promise.resolve({
      subjects: ids.filter((id) => only.length === 0 || only.includes(id)).map(subjectOf),
      skipped: [],
      close: () => Promise.resolve(),
    }),
  targets: [
    {
      name: "everything on, 1 bounded thing, CPU µs per request",
      limit: ["<=", 2],
      value: (read) => read("on-1"),
    },
    {
      name: "a refusal is decided, p99 in ms",
      limit: ["<=", 2],
      value: (read) => read("refused", "p99") / 1000,
    },
  ],
}
