/**
 * The command line of `deno task load`.
 */
import { readFlags } from "../support/flags.ts"
import type { Job, Phase, Retry, Stream } from "./job.ts"
import { LoadError, type Target, targetOf } from "./target.ts"

export type Command =
  | { readonly _tag: "Help" }
  | {
    readonly _tag: "Run"
    readonly job: Job
    readonly json: string | undefined
    readonly svg: string | undefined
    readonly allowLate: boolean
  }
  | {
    readonly _tag: "Scenarios"
    readonly only: ReadonlyArray<string>
    readonly list: boolean
    readonly pace: number
    readonly seed: number
    readonly json: string | undefined
    readonly writeDocs: boolean
    readonly allowLate: boolean
  }

/** Bounds of one run. */
export const limits = {
  seconds: 3600,
  rate: 20_000,
  calls: 2_000_000,
  connections: 20_000,
  deadlineMs: 600_000,
  retries: 10,
} as const

export const usage = `Usage: deno task load URL [options]
       deno task load scenarios [--only S1,S3] [--list] [--json FILE] [--write-docs]

Sends requests to a service on this machine when they are due, whatever the answers do, and reports
what clients got. Latency counts from the moment at which a request was due.

Load:
  --rate N             requests per second (default 50)
  --seconds S          for how long (default 10)
  --phases LIST        instead of both: rate x seconds, e.g. 40x3,500x6,40x8; 100@1x3 adds 100 at once
  --arrivals KIND      poisson (default) or constant
  --seed N             of arrivals and pauses (default 1)
Clients:
  --deadline TIME      after it the client closes its socket, e.g. 800ms, 2s (default 1s)
  --retry KIND         none (default), fixed:N:PAUSE, jitter:N:BASE or retry-after:N:BASE;
                       N retries, e.g. fixed:3:100ms
  --method NAME        (default GET)
  --header 'N: V'      may be repeated
  --body TEXT          sent as application/json unless a header says otherwise
  --key NAME=KEY:PART  clients with an API key, e.g. checkout=abc:0.2; repeat it, parts add up to 1
  --key-header NAME    the header that carries it (default x-api-key)
Result:
  --json FILE          everything, HdrHistograms included
  --svg FILE           goodput, latency and refusals over time
  --records FILE       one line of CSV for each attempt
  --window TIME        of the series (default 1s)
  --connections N      at most (default 4096)
  --allow-late         accept a run in which the generator itself was late (over 2 ms at p99)
Scenarios:
  --only LIST          e.g. S1,S3/10x; all that can run if left out
  --list               show them, run none
  --pace F             phases of more than 5 s F times as long (default 1), e.g. 0.3
  --seed, --json, --allow-late as above
  --write-docs         put the table into docs/load.md

Exit code: 0; 1 when the run means nothing (wrong answers, generator late); 2 for a mistake in the
arguments. At most ${limits.seconds} s, ${limits.rate} requests/s and ${limits.calls} calls.`

/** Reads the arguments. Throws a {@link LoadError} that says what is wrong with them. */
export const parse = (args: ReadonlyArray<string>): Command => {
  const { values, positionals } = read(args)
  const [first, ...rest] = positionals
  if (values.help === true || first === undefined) return { _tag: "Help" }
  if (rest.length > 0) throw new LoadError(`"${rest[0]}" is one argument too many.`)
  const seed = whole("--seed", values.seed, 1, [0, 2 ** 31 - 1])
  const allowLate = values["allow-late"] ?? false
  if (first === "scenarios") {
    const foreign = Object.keys(values).find((name) =>
      !["only", "list", "pace", "seed", "json", "write-docs", "allow-late"].includes(name)
    )
    if (foreign !== undefined) throw new LoadError(`Scenarios take no --${foreign}.`)
    return {
      _tag: "Scenarios",
      only: values.only?.split(",").map((id) => id.trim()).filter(Boolean) ?? [],
      list: values.list ?? false,
      pace: number("--pace", values.pace, 1, [0.05, 10]),
      seed,
      json: values.json,
      writeDocs: values["write-docs"] ?? false,
      allowLate,
    }
  }
  for (const name of ["only", "list", "pace", "write-docs"] as const) {
    if (values[name] !== undefined) throw new LoadError(`--${name} belongs to scenarios.`)
  }
  return {
    _tag: "Run",
    job: jobOf(targetOf(first), values, seed),
    json: values.json,
    svg: values.svg,
    allowLate,
  }
}

type Values = ReturnType<typeof read>["values"]

const jobOf = (target: Target, values: Values, seed: number): Job => {
  if (values.phases !== undefined && (values.rate ?? values.seconds) !== undefined) {
    throw new LoadError("--phases already says rate and seconds. Leave out --rate and --seconds.")
  }
  const phases = values.phases === undefined
    ? [{
      seconds: number("--seconds", values.seconds, 10, [0.1, limits.seconds]),
      rate: number("--rate", values.rate, 50, [0.01, limits.rate]),
    }]
    : values.phases.split(",").map(phase)
  const seconds = phases.reduce((sum, phase) => sum + phase.seconds, 0)
  const calls = phases.reduce(
    (sum, { seconds, rate = 0, atOnce = 0 }) => sum + seconds * rate + atOnce,
    0,
  )
  if (seconds > limits.seconds || calls > limits.calls) {
    throw new LoadError(
      `That would be ${Math.round(calls)} calls in ${Math.round(seconds)} s. ` +
        `At most ${limits.calls} in ${limits.seconds} s.`,
    )
  }
  const arrivals = values.arrivals ?? "poisson"
  if (arrivals !== "poisson" && arrivals !== "constant") {
    throw new LoadError(`--arrivals takes poisson or constant, not "${arrivals}".`)
  }
  const method = values.method ?? "GET"
  if (!/^[A-Z]{1,16}$/.test(method)) {
    throw new LoadError(`--method takes a name such as GET, not "${method}".`)
  }
  const base: Omit<Stream, "name" | "phases"> = {
    method,
    path: target.path,
    headers: Object.fromEntries((values.header ?? []).map(header)),
    body: values.body,
    deadlineMs: time("--deadline", values.deadline, 1000, limits.deadlineMs),
    retry: retry(values.retry ?? "none"),
  }
  return {
    host: target.host,
    port: target.port,
    seed,
    arrivals,
    streams: streams(base, phases, values),
    connections: whole("--connections", values.connections, 4096, [1, limits.connections]),
    windowMs: time("--window", values.window, 1000, 60_000),
    records: values.records,
    progress: true,
  }
}

/** One stream, or one for each key with its part of the load. */
const streams = (
  base: Omit<Stream, "name" | "phases">,
  phases: ReadonlyArray<Phase>,
  values: Values,
): ReadonlyArray<Stream> => {
  if (values.key === undefined) return [{ ...base, name: "clients", phases }]
  const name = values["key-header"] ?? "x-api-key"
  header(`${name}: x`)
  const keys = values.key.map((text) => {
    const [, name, key, part] = /^([^=:]+)=([^:\s]+):([\d.]+)$/.exec(text) ?? []
    if (name === undefined || !(Number(part) > 0)) {
      throw new LoadError(`--key takes NAME=KEY:PART such as checkout=abc:0.2, not "${text}".`)
    }
    return { name, key: key!, part: Number(part) }
  })
  const sum = keys.reduce((all, { part }) => all + part, 0)
  if (Math.abs(sum - 1) > 1e-6) {
    throw new LoadError(`The parts of --key add up to ${sum}, not to 1.`)
  }
  return keys.map(({ name: client, key, part }) => ({
    ...base,
    name: client,
    headers: { ...base.headers, [name]: key },
    phases: phases.map((phase) => ({
      ...phase,
      rate: (phase.rate ?? 0) * part,
      atOnce: Math.round((phase.atOnce ?? 0) * part),
    })),
  }))
}

const phase = (text: string): Phase => {
  const [, atOnce, rate, seconds] = /^(?:(\d+)@)?([\d.]+)x([\d.]+)$/.exec(text.trim()) ?? []
  if (rate === undefined) {
    throw new LoadError(`--phases takes parts such as 500x6 (rate x seconds), not "${text}".`)
  }
  return {
    name: text.trim(),
    rate: number("A rate in --phases", rate, 0, [0, limits.rate]),
    seconds: number("A length in --phases", seconds, 1, [0.1, limits.seconds]),
    ...(atOnce === undefined
      ? {}
      : { atOnce: whole("A burst in --phases", atOnce, 0, [0, 20_000]) }),
  }
}

const retry = (text: string): Retry => {
  if (text === "none") return { kind: "none" }
  const [, kind, count, pause] = /^(fixed|jitter|retry-after):(\d+):(\w+)$/.exec(text) ?? []
  if (kind === undefined) {
    throw new LoadError(
      `--retry takes none, fixed:N:PAUSE, jitter:N:BASE or retry-after:N:BASE, not "${text}".`,
    )
  }
  const retries = whole("The number in --retry", count, 3, [1, limits.retries])
  const ms = time("The time in --retry", pause, 100, 60_000)
  return kind === "fixed"
    ? { kind, retries, pauseMs: ms }
    : { kind: kind as "jitter" | "retry-after", retries, baseMs: ms, capMs: 10_000 }
}

const header = (text: string): readonly [string, string] => {
  const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):\s*([\x20-\x7e]*)$/.exec(text) ?? []
  if (name === undefined) {
    throw new LoadError(`--header takes "name: value" in ASCII, not ${JSON.stringify(text)}.`)
  }
  if (/^(host|content-length|transfer-encoding|connection)$/i.test(name)) {
    throw new LoadError(`The header ${name} is the generator's own. Leave it out.`)
  }
  return [name, value!]
}

const time = (
  option: string,
  text: string | undefined,
  otherwise: number,
  most: number,
): number => {
  if (text === undefined) return otherwise
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(ms|s)$/.exec(text) ?? []
  const ms = Number(digits) * (unit === "s" ? 1000 : 1)
  if (ms > 0 && ms <= most) return ms
  throw new LoadError(
    `${option} takes a time such as 800ms or 2s, at most ${most / 1000}s, not "${text}".`,
  )
}

const number = (
  option: string,
  text: string | undefined,
  otherwise: number,
  [least, most]: readonly [number, number],
): number => {
  if (text === undefined) return otherwise
  const value = text.trim() === "" ? NaN : Number(text)
  if (value >= least && value <= most) return value
  throw new LoadError(`${option} takes a number from ${least} to ${most}, not "${text}".`)
}

const whole = (
  option: string,
  text: string | undefined,
  otherwise: number,
  range: readonly [number, number],
): number => {
  const value = number(option, text, otherwise, range)
  if (Number.isInteger(value)) return value
  throw new LoadError(`${option} takes a whole number, not "${text}".`)
}

const read = (args: ReadonlyArray<string>) => {
  const text = { type: "string" } as const
  const many = { type: "string", multiple: true } as const
  const flag = { type: "boolean" } as const
  return readFlags("load", args, {
    ...{ help: { ...flag, short: "h" }, rate: text, seconds: text, phases: text },
    ...{ arrivals: text, seed: text, deadline: text, retry: text, method: text, header: many },
    ...{ body: text, key: many, "key-header": text, json: text, svg: text, records: text },
    ...{ window: text, connections: text, "allow-late": flag },
    ...{ only: text, list: flag, pace: text, "write-docs": flag },
  }, (message) => new LoadError(message))
}
