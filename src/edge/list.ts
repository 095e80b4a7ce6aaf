import { Effect } from "effect"
import type { TaskRecord } from "../task/record.ts"
import { info } from "../task/TaskTree.ts"
import type { Tree } from "../task/tree.ts"
import type { Problem } from "./Problem.ts"
import { operatorView } from "./view.ts"

/** Which tasks an operator wants to see. */
export interface Query {
  readonly state: string | undefined
  readonly kind: string | undefined
  readonly name: string | undefined
  readonly minAgeMs: number
  readonly limit: number
  /** Only tasks after this ordinal. */
  readonly cursor: number
}

const states = ["running", "waiting", "cancelling", "abandoned"]
const names = ["state", "kind", "name", "minAgeMs", "limit", "cursor"]

/** The query, or a problem that names every wrong parameter. */
export const parseQuery = (search: URLSearchParams): Query | Problem => {
  const errors: Array<{ readonly path: ReadonlyArray<string>; readonly message: string }> = []
  const wrong = (name: string, message: string) => {
    errors.push({ path: ["query", name], message })
  }
  for (const name of new Set(search.keys())) {
    if (!names.includes(name)) wrong(name, `Unknown. Known: ${names.join(", ")}`)
    else if (search.getAll(name).length > 1) wrong(name, "Given more than once")
  }
  const whole = (name: string, least: number, most: number, otherwise: number): number => {
    const given = search.get(name)
    if (given === null) return otherwise
    const value = /^\d{1,15}$/.test(given) ? Number(given) : NaN
    if (value >= least && value <= most) return value
    wrong(name, `Expected a whole number from ${least} to ${most}, got ${JSON.stringify(given)}`)
    return otherwise
  }
  const state = search.get("state") ?? undefined
  if (state !== undefined && !states.includes(state)) {
    wrong("state", `Expected one of ${states.join(", ")}, got ${JSON.stringify(state)}`)
  }
  const query: Query = {
    state,
    kind: search.get("kind") ?? undefined,
    name: search.get("name") ?? undefined,
    minAgeMs: whole("minAgeMs", 0, Number.MAX_SAFE_INTEGER, 0),
    limit: whole("limit", 1, 500, 100),
    cursor: whole("cursor", 0, Number.MAX_SAFE_INTEGER, 0),
  }
  return errors.length === 0 ? query : {
    slug: "bad-request",
    status: 400,
    title: "The request does not fit what this endpoint accepts",
    detail: errors.map((one) => `${one.path.join(".")}: ${one.message}`).join("; "),
    extensions: { errors },
  }
}

export const isProblem = (u: Query | Problem): u is Problem => "slug" in u

/**
 * Live tasks in pages, oldest first. Each task has an ordinal, so that a page begins after the last
 * task of the one before even when that task has ended.
 */
export class Listing {
  private readonly tree: Tree
  private readonly ordinals = new WeakMap<TaskRecord, number>()
  private last = 0

  constructor(tree: Tree) {
    this.tree = tree
  }

  page(query: Query, now: number): Effect.Effect<Record<string, unknown>> {
    return Effect.sync(() => {
      const found: Array<TaskRecord> = []
      let more = false
      // In the order of their start, which is that of the set.
      for (const record of this.tree.live) {
        const ordinal = this.ordinalOf(record)
        if (ordinal <= query.cursor || !fits(record, query, now)) continue
        if (found.length < query.limit) found.push(record)
        else more = true
      }
      const end = found.at(-1)
      return {
        tasks: found.map((record) => operatorView(info(record, now))),
        next: more && end !== undefined ? String(this.ordinalOf(end)) : null,
        live: this.tree.live.size,
      }
    })
  }

  private ordinalOf(record: TaskRecord): number {
    let ordinal = this.ordinals.get(record)
    if (ordinal === undefined) this.ordinals.set(record, ordinal = ++this.last)
    return ordinal
  }
}

const fits = (record: TaskRecord, query: Query, now: number): boolean =>
  (query.state === undefined || record.state === query.state) &&
  (query.kind === undefined || record.kind === query.kind) &&
  (query.name === undefined || record.name.startsWith(query.name)) &&
  now - record.startedAt >= query.minAgeMs
