import type { Entry } from "./entry.ts"
import { Handling } from "./handling.ts"
import type { Runner } from "./runner.ts"

/**
 * Whether an ask from that run to that actor could never be answered: the paths of the actors that
 * wait for one another, from the asker back to itself.
 *
 * The edges of the graph are asks that have not been answered, and offers that wait for room. One that
 * is queued waits for a place
 * of its actor, so for any one of all that run there; one that runs waits for its own run. What can
 * go on is taken out until nothing changes; the rest is stuck, if the asker would be. There are few
 * edges: at most as many as actors that wait at this moment.
 */
export const findCycle = (asker: Handling, target: Runner): ReadonlyArray<string> | undefined => {
  if (hasPlace(target)) return undefined
  const stuck = reachable(asker, target)
  let changed = true
  while (changed) {
    changed = false
    for (const node of stuck) {
      const goesOn = node instanceof Handling
        ? node !== asker && !waits(node).some((next) => stuck.has(next))
        : node.runs().some((run) => !stuck.has(run))
      if (goesOn) changed = stuck.delete(node)
    }
  }
  return stuck.has(target) ? wayBack(asker, target, stuck) : undefined
}

type Node = Handling | Runner

/** A message would be started there at once, or as soon as what is on its way has begun. */
const hasPlace = (actor: Runner): boolean =>
  actor.status === "ready"
    ? actor.mailbox.busy + actor.controls < actor.home.settings.mailbox.concurrency
    : actor.initializing === undefined

/** What a run waits for, if that may be stuck. */
const waits = (run: Handling): ReadonlyArray<Node> => {
  if (run.waitsFor === undefined) return []
  const nodes: Array<Node> = []
  for (const entry of run.waitsFor) {
    const node = behind(entry)
    if (node !== undefined) nodes.push(node)
  }
  return nodes
}

const behind = (entry: Entry): Node | undefined => {
  if (entry.state === "running") return entry.frame!.task as Handling
  const actor = entry.to as Runner
  // Room in a full mailbox is made like an answer to what is queued there: by a place.
  const stands = entry.state === "offering" || (entry.state === "queued" && !entry.plan.reentrant)
  return stands && !hasPlace(actor) ? actor : undefined
}

const after = (asker: Handling, node: Node): ReadonlyArray<Node> =>
  node === asker ? [] : node instanceof Handling ? waits(node) : node.runs()

const reachable = (asker: Handling, target: Runner): Set<Node> => {
  const found = new Set<Node>([target])
  // A set can grow while it is walked.
  for (const node of found) for (const next of after(asker, node)) found.add(next)
  return found
}

/** The shortest way, as the paths of actors. */
const wayBack = (
  asker: Handling,
  target: Runner,
  stuck: ReadonlySet<Node>,
): ReadonlyArray<string> | undefined => {
  const from = new Map<Node, Node | undefined>([[target, undefined]])
  for (const node of from.keys()) {
    if (node === asker) return pathTo(asker, from)
    for (const next of after(asker, node)) {
      if (stuck.has(next) && !from.has(next)) from.set(next, node)
    }
  }
  return undefined
}

const pathTo = (asker: Handling, from: ReadonlyMap<Node, Node | undefined>): Array<string> => {
  const way: Array<string> = []
  for (let node: Node | undefined = asker; node !== undefined; node = from.get(node)) {
    const { path } = node instanceof Handling ? node.cell : node
    // An actor and a run of it are one step.
    if (way.at(-1) !== path) way.push(path)
  }
  way.push(asker.cell.path)
  return way.reverse()
}
