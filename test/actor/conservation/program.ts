/** Random programs of actors, as data: so that one that fails can be printed, and made smaller. */

export type Tag = "Work" | "High" | "Low" | "Again" | "Firm" | "Retry"
export const tags: ReadonlyArray<Tag> = ["Work", "High", "Low", "Again", "Firm", "Retry"]

export type To =
  | { readonly kind: number; readonly key: string }
  | { readonly child: string }
  | "self"

export interface Send {
  readonly how: "tell" | "offer" | "ask"
  readonly to: To
  readonly tag: Tag
  readonly steps: ReadonlyArray<Step>
  /** Of an ask: its timeout. Of the others: when they expire. */
  readonly within?: number
  readonly detach?: boolean
}

export interface Release {
  readonly ms: number
  readonly throws: boolean
}

export type Step =
  | { readonly do: "sleep"; readonly ms: number; readonly firm?: boolean }
  | { readonly do: "yield" | "never" | "fail" | "die" | "throw" | "interrupt" }
  | { readonly do: "stash"; readonly ms: number }
  | { readonly do: "unstash" }
  | ({ readonly do: "send"; readonly forked: boolean; readonly deadline?: number } & Send)
  | { readonly do: "spawn"; readonly name: string; readonly kind: KindSpec }
  | { readonly do: "stop" }
  | { readonly do: "halt"; readonly to: To }
  | { readonly do: "acquire"; readonly release: Release }
  | { readonly do: "fork"; readonly scoped: boolean; readonly steps: ReadonlyArray<Step> }
  | { readonly do: "finally"; readonly steps: ReadonlyArray<Step> }
  | { readonly do: "watch"; readonly to: To; readonly steps: ReadonlyArray<Step> }
  | {
    readonly do: "timer"
    readonly name: string
    readonly every: boolean
    readonly ms: number
    readonly steps: ReadonlyArray<Step>
  }
  | { readonly do: "receiveTimeout"; readonly ms: number; readonly steps: ReadonlyArray<Step> }

export interface Init {
  readonly steps: ReadonlyArray<Step>
}

export interface KindSpec {
  readonly name: string
  readonly keyed: boolean
  readonly concurrency: number
  readonly capacity: number
  readonly overflow: "reject" | "dropOldest" | "dropNewest"
  readonly offerers: number
  readonly stash: number
  readonly residents: number
  readonly idle: number
  readonly grace: number
  readonly intensity: number
  readonly backoff: number
  readonly exhausted: "escalate" | "stop"
  readonly expected?: number
  /** What the first, second, … incarnation does before it is there; from the first again after. */
  readonly inits: ReadonlyArray<Init>
}

export type Op =
  & { readonly after: number }
  & (
    | ({
      readonly op: "send"
      readonly deadline?: number
      readonly task: boolean
      readonly times: number
    } & Send)
    | { readonly op: "reserve"; readonly kind: number; readonly hold: number; readonly send: Send }
    | { readonly op: "interrupt"; readonly nth: number }
    | { readonly op: "stop"; readonly to: To }
    | { readonly op: "kill"; readonly nth: number }
  )

export interface Program {
  readonly kinds: ReadonlyArray<KindSpec>
  readonly ops: ReadonlyArray<Op>
  /** Probability that a fiber gives way between two steps. */
  readonly yields: number
  /** All timers of one instant fire before anything else runs. */
  readonly together: boolean
}

export class Draw {
  readonly next: () => number
  constructor(next: () => number) {
    this.next = next
  }
  below(n: number): number {
    return Math.floor(this.next() * n)
  }
  pick<A>(all: ReadonlyArray<A>): A {
    return all[this.below(all.length)]!
  }
  chance(p: number): boolean {
    return this.next() < p
  }
  list<A>(least: number, most: number, make: () => A): ReadonlyArray<A> {
    return Array.from({ length: least + this.below(most - least + 1) }, make)
  }
}

const times = [0, 0, 1, 2, 5, 5, 10, 20, 50]
const keys = ["a", "a", "a", "b", "b", "c", "d", "e"]
const children = ["x", "y"]

interface Scene {
  readonly draw: Draw
  readonly kinds: number
  /** Finalizers may take longer than the grace. */
  readonly slow: boolean
}

export const generate = (next: () => number): Program => {
  const draw = new Draw(next)
  const count = 1 + draw.below(3)
  const scene: Scene = { draw, kinds: count, slow: draw.chance(0.25) }
  const kinds = Array.from(
    { length: count },
    (_, i) => kind(scene, "ABC"[i]!, draw.chance(0.6), 2),
  )
  const ops = draw.list(3, 30, () => op(scene))
  return { kinds, ops, yields: draw.pick([0, 0, 0, 0.05, 0.3]), together: draw.chance(0.5) }
}

const kind = (scene: Scene, name: string, keyed: boolean, depth: number): KindSpec => {
  const { draw } = scene
  const plain = draw.chance(0.5)
  return {
    name,
    keyed,
    concurrency: draw.pick([1, 1, 1, 2, 3]),
    capacity: draw.pick([1, 2, 3, 8]),
    overflow: draw.pick(["reject", "reject", "dropOldest", "dropNewest"]),
    offerers: draw.pick([0, 1, 2, 4]),
    stash: draw.pick([0, 1, 2, 4]),
    residents: draw.pick([1, 2, 3, 4]),
    idle: draw.pick([1, 10, 50, 60_000]),
    grace: draw.pick([0, 1, 10, 40, 200]),
    intensity: draw.pick([0, 1, 3, 20]),
    backoff: draw.pick([0, 0, 5, 20]),
    exhausted: draw.pick(["escalate", "stop"]),
    ...(draw.chance(0.15) ? { expected: draw.pick([1, 10]) } : {}),
    inits: plain ? [{ steps: [] }] : draw.list(1, 3, () => ({ steps: initSteps(scene, depth) })),
  }
}

const initSteps = (scene: Scene, depth: number): ReadonlyArray<Step> =>
  scene.draw.list(0, 3, () => {
    const { draw } = scene
    switch (draw.below(12)) {
      case 0:
        return { do: "sleep", ms: draw.pick(times) }
      case 1:
        return { do: "sleep", ms: draw.pick(times), firm: true }
      case 2:
        return { do: draw.pick(["fail", "die", "yield", "interrupt"] as const) }
      case 3:
      case 4:
      case 5:
        return { do: "acquire", release: release(scene) }
      default:
        return step(scene, depth)
    }
  })

const release = ({ draw, slow }: Scene): Release => ({
  ms: slow && draw.chance(0.3) ? draw.pick([100, 500]) : draw.pick([0, 0, 0, 1, 5]),
  throws: draw.chance(0.1),
})

const steps = (scene: Scene, depth: number): ReadonlyArray<Step> =>
  depth <= 0 ? [] : scene.draw.list(0, 3, () => step(scene, depth))

const target = ({ draw, kinds }: Scene, inside: boolean): To => {
  if (inside) {
    const which = draw.below(8)
    if (which === 0) return "self"
    if (which === 1) return { child: draw.pick(children) }
  }
  return { kind: draw.below(kinds), key: draw.pick(keys) }
}

const send = (scene: Scene, inside: boolean, depth: number): Send => {
  const { draw } = scene
  const how = draw.pick(["tell", "offer", "ask", "ask"] as const)
  return {
    how,
    to: target(scene, inside),
    tag: draw.chance(0.4) ? "Work" : draw.pick(tags),
    steps: steps(scene, depth - 1),
    ...(draw.chance(how === "ask" ? 0.5 : 0.2) ? { within: draw.pick(times) } : {}),
    ...(how === "ask" && draw.chance(0.15) ? { detach: true } : {}),
  }
}

const step = (scene: Scene, depth: number): Step => {
  const { draw, slow } = scene
  switch (draw.below(depth > 0 ? 26 : 11)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return { do: "sleep", ms: draw.pick(times) }
    case 4:
      return { do: "sleep", ms: slow ? draw.pick([20, 100, 400]) : draw.pick(times), firm: true }
    case 5:
      return { do: draw.pick(["yield", "fail", "fail", "die", "throw", "interrupt"] as const) }
    case 6:
      return draw.chance(0.3) ? { do: "never" } : { do: "die" }
    case 7:
      return { do: "stash", ms: draw.pick([0, 0, 5]) }
    case 8:
      return { do: "unstash" }
    case 9:
      return { do: "acquire", release: release(scene) }
    case 10:
      return draw.chance(0.3) ? { do: "stop" } : { do: "yield" }
    case 11:
      return { do: "halt", to: target(scene, true) }
    case 12:
    case 13:
      return { do: "fork", scoped: draw.chance(0.5), steps: steps(scene, depth - 1) }
    case 14:
      return { do: "finally", steps: steps(scene, depth - 1) }
    case 15:
      return { do: "watch", to: target(scene, true), steps: steps(scene, depth - 1) }
    case 16: {
      const every = draw.chance(0.3)
      return {
        do: "timer",
        name: draw.pick(children),
        every,
        ms: every ? draw.pick([20, 100]) : draw.pick(times),
        steps: steps(scene, depth - 1),
      }
    }
    case 17:
      return { do: "receiveTimeout", ms: draw.pick([20, 100]), steps: steps(scene, depth - 1) }
    case 18:
    case 19: {
      const name = draw.pick(children)
      return { do: "spawn", name, kind: kind(scene, "Child", false, depth - 1) }
    }
    default:
      return {
        do: "send",
        forked: draw.chance(0.3),
        ...(draw.chance(0.1) ? { deadline: draw.pick(times) } : {}),
        ...send(scene, true, depth),
      }
  }
}

const op = (scene: Scene): Op => {
  const { draw } = scene
  const after = draw.chance(0.4) ? 0 : draw.pick(times)
  switch (draw.below(12)) {
    case 0:
    case 1:
      return { after, op: "interrupt", nth: draw.below(6) }
    case 2:
      return draw.chance(0.5)
        ? { after, op: "stop", to: target(scene, false) }
        : { after, op: "kill", nth: draw.below(8) }
    case 3:
      return {
        after,
        op: "reserve",
        kind: draw.below(scene.kinds),
        hold: draw.pick(times),
        send: send(scene, false, 2),
      }
    default:
      return {
        after,
        op: "send",
        task: draw.chance(0.3),
        times: draw.chance(0.8) ? 1 : 2 + draw.below(5),
        ...(draw.chance(0.15) ? { deadline: draw.pick(times) } : {}),
        ...send(scene, false, 3),
      }
  }
}

/** Programs that are a little smaller, the boldest cuts first. */
export function* smaller(program: Program): Generator<Program> {
  const { kinds, ops } = program
  for (let size = ops.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= ops.length; at += size) {
      yield { ...program, ops: [...ops.slice(0, at), ...ops.slice(at + size)] }
    }
  }
  if (program.yields > 0) yield { ...program, yields: 0 }
  if (program.together) yield { ...program, together: false }
  for (const [i, spec] of kinds.entries()) {
    for (const less of lessKind(spec)) yield { ...program, kinds: kinds.with(i, less) }
  }
  for (const [i, op] of ops.entries()) {
    for (const less of lessOp(op)) yield { ...program, ops: ops.with(i, less) }
  }
}

function* lessOp(op: Op): Generator<Op> {
  if (op.after > 0) yield { ...op, after: 0 }
  if (op.op === "send") {
    const { deadline: _, ...rest } = op
    if (op.deadline !== undefined) yield rest
    if (op.task) yield { ...op, task: false }
    if (op.times > 1) yield { ...op, times: op.times - 1 }
    for (const less of lessSend(op)) yield { ...op, ...less }
  } else if (op.op === "reserve") {
    for (const less of lessSend(op.send)) yield { ...op, send: less }
  }
}

function* lessSend<S extends Send>(send: S): Generator<S> {
  const { within: _, ...rest } = send
  if (send.within !== undefined) yield rest as unknown as S
  if (send.tag !== "Work") yield { ...send, tag: "Work" }
  for (const steps of lessSteps(send.steps)) yield { ...send, steps }
}

const usual = {
  concurrency: 1,
  capacity: 8,
  overflow: "reject",
  offerers: 4,
  stash: 4,
  residents: 4,
  idle: 60_000,
  grace: 200,
  intensity: 20,
  backoff: 0,
} as const

function* lessKind(spec: KindSpec): Generator<KindSpec> {
  if (spec.inits.length > 1 || spec.inits[0]!.steps.length > 0) {
    yield { ...spec, inits: [{ steps: [] }] }
  }
  for (const [name, value] of Object.entries(usual)) {
    if (spec[name as keyof typeof usual] !== value) yield { ...spec, [name]: value }
  }
  const { expected: _, ...rest } = spec
  if (spec.expected !== undefined) yield rest
  for (const [i, init] of spec.inits.entries()) {
    if (spec.inits.length > 1) yield { ...spec, inits: spec.inits.toSpliced(i, 1) }
    for (const steps of lessSteps(init.steps)) {
      yield { ...spec, inits: spec.inits.with(i, { steps }) }
    }
  }
}

function* lessSteps(steps: ReadonlyArray<Step>): Generator<ReadonlyArray<Step>> {
  if (steps.length > 1) yield []
  for (let i = 0; i < steps.length; i++) yield steps.toSpliced(i, 1)
  for (const [i, step] of steps.entries()) {
    if ("steps" in step) {
      for (const less of lessSteps(step.steps)) yield steps.with(i, { ...step, steps: less })
    }
    if (step.do === "send") {
      const { deadline: _, ...rest } = step
      if (step.deadline !== undefined) yield steps.with(i, rest)
      for (const less of lessSend(step)) yield steps.with(i, less)
    }
    if (step.do === "spawn") {
      for (const kind of lessKind(step.kind)) yield steps.with(i, { ...step, kind })
    }
  }
}

/** The program as a script that one can read. */
export const print = (program: Program): string =>
  [
    ...program.kinds.map((spec) => `kind ${text(spec)}`),
    ...(program.yields > 0 ? [`yields ${program.yields}`] : []),
    ...(program.together ? ["timers of one instant fire together"] : []),
    ...program.ops.map(({ after, ...op }) => `+${after} ms ${text(op)}`),
  ].join("\n")

const text = (value: unknown): string => JSON.stringify(value).replaceAll('"', "")
