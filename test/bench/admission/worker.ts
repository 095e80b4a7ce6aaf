/**
 * The process of one subject: runs its requests as often as it is told to on stdin.
 *
 *     deno run -A test/bench/admission/worker.ts on-1
 */
import { Context, Effect, Layer } from "effect"
import * as Admission from "../../../src/admission/Admission.ts"
import { type Callers, nobody } from "../../../src/admission/Caller.ts"
import type { Bounded, Ticket } from "../../../src/bounded/Bounded.ts"
import { isRefusal } from "../../../src/bounded/Refused.ts"
import { Compiled, type Env } from "../../../src/edge/compiled.ts"
import * as Policy from "../../../src/edge/Policy.ts"
import { Ask } from "../../../src/edge/run.ts"
import { Entry } from "../../../src/pool/entry.ts"
import { Slots } from "../../../src/pool/slots.ts"
import * as Metrics from "../../../src/telemetry/Metrics.ts"
import { VerificationFailed } from "../suite.ts"
import { type Job, measure, type Subject } from "./shared.ts"

/** What a principal would tell, once it has looked at the key: the same caller each time. */
const known: Callers = (() => {
  const callers = Array.from({ length: 16 }, (_, i) => ({
    id: `user-${i}`,
    tenant: `tenant-${i}`,
    criticality: i % 4 === 0 ? "sheddable-plus" as const : undefined,
  }))
  let next = 0
  return { of: () => callers[next++ & 15] }
})()

const source = new Request("http://localhost/", { headers: { "request-timeout": "1000" } })

/** One slot taken and given back in each thing: what the handler's acquires do. */
const use = (things: ReadonlyArray<Slots>, tickets: ReadonlyArray<Ticket>, now: number): void => {
  for (let i = 0; i < things.length; i++) {
    const entry = things[i]!.enter(now, now + 1000, tickets[i])
    if (!(entry instanceof Entry)) throw new VerificationFailed(`refused: ${entry.reason}`)
    things[i]!.leave(entry, now + 1, "completed")
  }
}

const slots = (count: number): ReadonlyArray<Slots> =>
  Array.from({ length: count }, (_, i) => {
    const thing = new Slots({ kind: "bulkhead", name: `b${i}`, capacity: 10 })
    for (let i = 0; i < 40; i++) thing.service.observe(1)
    return thing
  })

/** A request as the edge makes it: asked, entered, used, left. */
const through = (
  admission: Admission.Admission,
  callers: Callers,
  things: ReadonlyArray<Slots>,
): Subject => {
  const uses: ReadonlyArray<Bounded> = things
  const endpoint = new Compiled(
    "bench",
    Policy.resolve("bench", { expected: "1 millis", priority: "critical" }),
    uses,
    Metrics.makeUnsafe().endpoint("bench", "GET"),
  )
  const env = { admission, callers } as Env
  return {
    admits: true,
    request: (now) => {
      const ask = new Ask(endpoint, env, source, now)
      const tickets = admission.enter(uses, ask)
      if (isRefusal(tickets)) return false
      use(things, tickets, now)
      admission.leave(tickets)
      return true
    },
  }
}

const off = { memory: "off", loopLag: "off", concurrency: "off", tickets: "off" } as const

const door = (options: Admission.Options) =>
  Effect.map(
    Layer.build(Admission.layerGuarded(options)),
    (context) => Context.get(context, Admission.Admission),
  )

/** What this box is busy with must not refuse the requests of a benchmark: the same work, no threshold. */
const patient: Admission.Options = {
  loopLag: { sheddable: "1 hour", noncritical: "1 hour" },
  memory: { heapLimit: "64 GiB" },
}

const subjects: Readonly<Record<string, Effect.Effect<Subject, never, never>>> = {
  "off": Effect.map(Effect.scoped(door({ modes: off })), (it) => through(it, nobody, slots(0))),
  "off-1": Effect.map(Effect.scoped(door({ modes: off })), (it) => through(it, nobody, slots(1))),
  "on-0": Effect.map(Effect.scoped(door(patient)), (it) => through(it, known, slots(0))),
  "on-1": Effect.map(Effect.scoped(door(patient)), (it) => through(it, known, slots(1))),
  "on-3": Effect.map(Effect.scoped(door(patient)), (it) => through(it, known, slots(3))),
  "refused": Effect.map(Effect.scoped(door(patient)), (it) => {
    const full = slots(1)
    for (let i = 0; i < 10; i++) full[0]!.enter(0, Infinity)
    for (let i = 0; i < 160; i++) full[0]!.enter(0, Infinity, undefined, i % 3, 1 + i % 20)
    return { ...through(it, known, full), admits: false }
  }),
}

const subject = await Effect.runPromise(subjects[Deno.args[0]!]!)

/** One line in, one line out. */
let rest = ""
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n")
  rest = lines.pop()!
  for (const line of lines) {
    try {
      console.log(JSON.stringify({ sample: measure(subject, JSON.parse(line) as Job) }))
    } catch (error) {
      const wrong = error instanceof VerificationFailed
      const message = error instanceof Error ? error.stack : String(error)
      console.log(JSON.stringify({ wrong, message }))
    }
  }
}
