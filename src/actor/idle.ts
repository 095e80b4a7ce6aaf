import type { Cell } from "./cell.ts"

/** The actors of a kind that have nothing to do, in the order in which they fell idle. */
export class IdleList {
  oldest: Cell | undefined = undefined
  private youngest: Cell | undefined = undefined

  add(cell: Cell, now: number): void {
    cell.isIdle = true
    cell.idleSince = now
    const { youngest } = this
    cell.older = youngest
    if (youngest === undefined) this.oldest = cell
    else youngest.younger = cell
    this.youngest = cell
  }

  remove(cell: Cell): void {
    if (!cell.isIdle) return
    const { older, younger } = cell
    if (older === undefined) this.oldest = younger
    else older.younger = younger
    if (younger === undefined) this.youngest = older
    else younger.older = older
    cell.older = cell.younger = undefined
    cell.isIdle = false
  }
}
