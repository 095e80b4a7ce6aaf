/** Random scenarios: the same seed gives the same one. */
import { random } from "../../support/random.ts"
import {
  type Child,
  isSup,
  type Scenario,
  type Start,
  type Step,
  type Sup,
  type Worker,
} from "./scenario.ts"

export const generate = (seed: number): Scenario => {
  const next = random(seed)
  const draw = (below: number): number => Math.floor(next() * below)
  const pick = <A>(all: ReadonlyArray<A>): A => all[draw(all.length)]!
  const names = { workers: [] as Array<string>, sups: [] as Array<Sup>, count: 0 }
  const name = (prefix: string): string => `${prefix}${++names.count}`

  const starts = (first: boolean): ReadonlyArray<Start> => {
    const kind = draw(10)
    // A root that does not start ends the scenario early: rare.
    if (kind === 0) return first && draw(4) > 0 ? ["ok", "error"] : ["error", "ok"]
    if (kind === 1) return ["ok", "error", "ok"]
    if (kind === 2) return pick<ReadonlyArray<Start>>([["ignore"], ["ok", "ignore"]])
    if (kind === 3) return ["ok", "error", "error", "ok"]
    return ["ok"]
  }

  const worker = (owner: Omit<Sup, "children">, later = false): Worker => {
    const restart = pick(["permanent", "permanent", "transient", "temporary"] as const)
    const auto = owner.autoShutdown ?? "never"
    const id = name("w")
    names.workers.push(id)
    const stubborn = draw(12) === 0
    return {
      id,
      restart,
      shutdown: stubborn
        ? pick([30, "brutal"] as const)
        : pick([5000, 5000, "brutal", "infinity"] as const),
      significant: auto !== "never" && restart !== "permanent" && draw(2) === 0,
      starts: starts(!later),
      stubborn,
    }
  }

  const sup = (depth: number, above?: Omit<Sup, "children">): Sup => {
    const restart = pick(["permanent", "permanent", "transient", "temporary"] as const)
    const auto = above?.autoShutdown ?? "never"
    const own: Omit<Sup, "children"> = {
      id: name("s"),
      strategy: pick(["one-for-one", "one-for-all", "rest-for-one"] as const),
      intensity: draw(4),
      autoShutdown: pick(["never", "never", "any", "all"] as const),
      restart,
      significant: auto !== "never" && restart !== "permanent" && draw(2) === 0,
    }
    const children: Array<Child> = []
    const size = draw(5)
    for (let i = 0; i < size; i++) {
      children.push(depth > 0 && draw(3) === 0 ? sup(depth - 1, own) : worker(own))
    }
    const made: Sup = { ...own, children }
    names.sups.push(made)
    return made
  }

  const root = sup(2)
  const steps: Array<Step> = []
  const ids = (it: Sup): ReadonlyArray<string> =>
    it.children.flatMap((child) => [child.id, ...(isSup(child) ? ids(child) : [])])
  const all = ids(root)
  const length = 2 + draw(8)
  let waits = 0
  let last: string | undefined
  for (let i = 0; i < length; i++) {
    const owner = pick(names.sups)
    const target = owner.children.length > 0 && draw(8) > 0
      ? pick(owner.children).id
      : pick([...all, ...names.workers, "nobody"])
    const kind = draw(20)
    if (kind < 9 && names.workers.length > 0) {
      // The same one again and again is what uses a budget up.
      const id = last !== undefined && draw(2) === 0 ? last : pick(names.workers)
      last = id
      steps.push(
        draw(3) === 0
          ? ["kill", id]
          : ["leave", id, pick(["normal", "shutdown", "crash", "crash"] as const)],
      )
    } else if (kind < 11) {
      if (waits++ < 2) steps.push(["wait"])
    } else if (kind < 14) steps.push(["terminate", owner.id, target])
    else if (kind < 16) steps.push(["restart", owner.id, target])
    else if (kind < 18) steps.push(["delete", owner.id, target])
    else {
      const made = worker(owner, true)
      const known = owner.children.filter((child) => !isSup(child))
      steps.push([
        "start",
        owner.id,
        known.length > 0 && draw(3) === 0 ? { ...made, id: pick(known).id } : made,
      ])
    }
  }
  return { name: `seed ${seed}`, root, steps }
}
