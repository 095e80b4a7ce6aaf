import type { CancelScope } from "../task/scope.ts"
import { hash, weight } from "./hashing.ts"
import { isOpen, type Reachable } from "./inside.ts"

/** One routee, as its router sees it. It stays in its place when it is replaced. */
export class Place {
  readonly path: string
  readonly target: Reachable
  readonly hash: number

  constructor(path: string, target: Reachable) {
    this.path = path
    this.target = target
    this.hash = hash(path)
  }
}

/** Picks one of the open places for a message; `undefined` when none is open. */
export type Choose = (
  tag: string,
  payload: unknown,
  frame: CancelScope,
) => Place | undefined

/** How fit a place is: 0 takes nothing, 1 would make the message wait for a restart or for room. */
const grade = ({ target }: Place): number => {
  if (!isOpen(target)) return 0
  const cell = target.peek()
  if (cell === undefined) return 2
  const { mailbox, status } = cell
  const starts = status === "ready" || status === "starting"
  return starts && mailbox.waiting + mailbox.tickets < mailbox.options.capacity ? 2 : 1
}

/** Messages that have not ended. */
const load = ({ target }: Place): number => {
  const mailbox = target.peek()?.mailbox
  return mailbox === undefined ? 0 : mailbox.queued + mailbox.running
}

/** The place in whose mailbox the sender holds a ticket. */
const promised = (places: ReadonlyArray<Place>, frame: CancelScope): Place | undefined => {
  if (frame.tickets === undefined) return undefined
  for (const place of places) {
    const line = place.target.peek()?.mailbox.line
    if (line !== undefined && frame.ticketFor(line.bounded) !== undefined && isOpen(place.target)) {
      return place
    }
  }
  return undefined
}

/** The fittest in turn; with `weigh`, of the fittest the one with the least to do. */
const inTurn = (places: ReadonlyArray<Place>, weigh: boolean): Choose => {
  let next = 0
  return (_tag, _payload, frame) => {
    const held = promised(places, frame)
    if (held !== undefined) return held
    let best = -1
    let bestGrade = 0
    let bestLoad = Infinity
    for (let i = 0; i < places.length; i++) {
      const index = (next + i) % places.length
      const place = places[index]!
      const fit = grade(place)
      if (fit < bestGrade || fit === 0) continue
      const toDo = weigh ? load(place) : 0
      if (fit === bestGrade && toDo >= bestLoad) continue
      best = index
      bestGrade = fit
      bestLoad = toDo
      if (fit === 2 && toDo === 0) break
    }
    if (best < 0) return undefined
    next = (best + 1) % places.length
    return places[best]
  }
}

const byKey = (
  places: ReadonlyArray<Place>,
  keyOf: (message: { readonly tag: string; readonly payload: unknown }) => string,
): Choose =>
(tag, payload) => {
  const key = hash(keyOf({ tag, payload }))
  let best: Place | undefined
  let most = -1
  for (const place of places) {
    const fit = weight(key, place.hash)
    if (fit > most && isOpen(place.target)) {
      best = place
      most = fit
    }
  }
  return best
}

/** How a router picks, without types. */
export type AnyStrategy =
  | "round-robin"
  | "least-loaded"
  | "broadcast"
  | { readonly hash: (message: never) => string }

/** `places` may be changed from outside. */
export const chooser = (places: ReadonlyArray<Place>, strategy: AnyStrategy): Choose =>
  typeof strategy === "object"
    ? byKey(places, strategy.hash as Parameters<typeof byKey>[1])
    : inTurn(places, strategy === "least-loaded")
