import type { Entry, List } from "./entry.ts"

/** The lines of a mailbox, one for each priority, the most urgent first. */
type Lanes = ReadonlyArray<List>

/** The first in line of that priority; without a place only what may run while others run. */
const headOf = (
  lanes: Lanes,
  reentrants: Lanes | undefined,
  lane: number,
  place: boolean,
): Entry | undefined => {
  const other = reentrants === undefined ? undefined : reentrants[lane]!.head
  const head = place ? lanes[lane]!.head : undefined
  if (head === undefined || other === undefined) return head ?? other
  return head.seq < other.seq ? head : other
}

/** What comes next. */
export const first = (
  lanes: Lanes,
  reentrants: Lanes | undefined,
  place: boolean,
): Entry | undefined => {
  for (let lane = 0; lane < lanes.length; lane++) {
    const head = headOf(lanes, reentrants, lane, place)
    if (head !== undefined) return head
  }
  return undefined
}

/** What is dropped first. */
export const leastUrgent = (lanes: Lanes, reentrants: Lanes | undefined): Entry | undefined => {
  for (let lane = lanes.length - 1; lane >= 0; lane--) {
    const head = headOf(lanes, reentrants, lane, true)
    if (head !== undefined) return head
  }
  return undefined
}

/** What waits for longest. */
export const oldest = (lanes: Lanes, reentrants: Lanes | undefined): Entry | undefined => {
  let oldest: Entry | undefined
  for (const { head } of [...lanes, ...reentrants ?? []]) {
    if (head !== undefined && (oldest === undefined || head.at < oldest.at)) oldest = head
  }
  return oldest
}
