/** Scripted scenarios for supervisors: data that both OTP and Weir can run. */

/** What a start of a worker does; the last one goes for all later starts. */
export type Start = "ok" | "ignore" | "error"

export interface Worker {
  readonly id: string
  readonly restart?: "permanent" | "transient" | "temporary"
  /** Milliseconds. Default 5 000. */
  readonly shutdown?: number | "brutal" | "infinity"
  readonly significant?: boolean
  readonly starts?: ReadonlyArray<Start>
  /** It does not end when it is told to. */
  readonly stubborn?: boolean
}

export interface Sup {
  readonly id: string
  readonly strategy?: "one-for-one" | "one-for-all" | "rest-for-one"
  readonly intensity?: number
  readonly autoShutdown?: "never" | "any" | "all"
  readonly children: ReadonlyArray<Child>
  /** As a child of another one. */
  readonly restart?: "permanent" | "transient" | "temporary"
  readonly significant?: boolean
}

export type Child = Worker | Sup

export type Step =
  /** Killed from outside; ends by itself. */
  | readonly ["kill", id: string]
  | readonly ["leave", id: string, how: "normal" | "shutdown" | "crash"]
  | readonly ["terminate" | "restart" | "delete", supervisor: string, id: string]
  | readonly ["start", supervisor: string, worker: Worker]
  /** Longer than a period. */
  | readonly ["wait"]

export interface Scenario {
  readonly name: string
  readonly root: Sup
  readonly steps: ReadonlyArray<Step>
}

/**
 * OTP counts whole seconds. So a script waits not at all, or so long that a period has passed however
 * the seconds fall.
 */
export const periodSeconds = 1
export const waitMs = 2000
export const defaultIntensity = 1

export const isSup = (child: Child): child is Sup => "children" in child

const string = (text: string): string => JSON.stringify(text)
const atom = (text: string): string => text.replaceAll("-", "_")

const worker = (it: Worker): string => {
  const shutdown = it.shutdown === "brutal" ? "brutal_kill" : String(it.shutdown ?? 5000)
  const starts = (it.starts ?? ["ok"]).join(",")
  return `{worker,${string(it.id)},${it.restart ?? "permanent"},${shutdown},` +
    `${it.significant ?? false},[${starts}],${it.stubborn ?? false}}`
}

const sup = (it: Sup): string => {
  const auto = it.autoShutdown === undefined || it.autoShutdown === "never"
    ? "never"
    : `${it.autoShutdown}_significant`
  return `{sup,${string(it.id)},${atom(it.strategy ?? "one-for-one")},` +
    `${it.intensity ?? defaultIntensity},${periodSeconds},${auto},` +
    `[${it.children.map(child).join(",")}]}`
}

const child = (it: Child): string =>
  isSup(it)
    ? `{super,${it.restart ?? "permanent"},${it.significant ?? false},${sup(it)}}`
    : worker(it)

const step = (it: Step): string => {
  switch (it[0]) {
    case "wait":
      return `{wait,${waitMs}}`
    case "kill":
      return `{kill,${string(it[1])}}`
    case "leave":
      return `{leave,${string(it[1])},${it[2]}}`
    case "start":
      return `{start,${string(it[1])},${worker(it[2])}}`
    default:
      return `{${it[0]},${string(it[1])},${string(it[2])}}`
  }
}

/** The scenario as an Erlang term. */
export const term = ({ name, root, steps }: Scenario): string =>
  `{${string(name)},${sup(root)},[${steps.map(step).join(",")}]}.\n`
