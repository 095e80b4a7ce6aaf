import type { CancelReason } from "./CancelReason.ts"
import type { Outcome, Progress, TaskRecord } from "./record.ts"

/** What happened to a task, without the fields that every event has. */
export type Happening =
  | { readonly _tag: "Started" }
  | { readonly _tag: "Waiting"; readonly on: string }
  | { readonly _tag: "Resumed" }
  | { readonly _tag: "Progress"; readonly progress: Progress }
  | { readonly _tag: "CancelRequested"; readonly reason: CancelReason }
  | { readonly _tag: "CleanupAbandoned"; readonly afterMs: number }
  | { readonly _tag: "Ended"; readonly outcome: Outcome }

/** An event of one task; `seq` grows by one per event of the tree. */
export type TreeEvent = Happening & {
  readonly seq: number
  readonly at: number
  readonly taskId: string
  readonly parentId: string | undefined
  readonly name: string
  readonly kind: string
}

/** Events kept for a subscriber that comes back with the last number it saw. */
const replayCapacity = 1024

/** The live tasks of one service. Synchronous; nothing in it outlives its task. */
export class Tree {
  readonly live: Set<TaskRecord> = new Set()
  readonly started: Map<string, number> = new Map()
  readonly ended: Map<string, Record<Outcome, number>> = new Map()
  abandonedCount = 0
  private readonly byId = new Map<string, TaskRecord>()
  private readonly listeners = new Set<(event: TreeEvent) => void>()
  private readonly replay: Array<TreeEvent> = []
  private readonly empty: Array<() => void> = []
  private seq = 0

  add(record: TaskRecord): void {
    this.live.add(record)
    this.started.set(record.kind, (this.started.get(record.kind) ?? 0) + 1)
    if (this.observed(record)) this.emit(record, { _tag: "Started" })
  }

  remove(record: TaskRecord, outcome: Outcome): void {
    if (this.observed(record)) this.emit(record, { _tag: "Ended", outcome })
    this.live.delete(record)
    if (record.hasId) this.byId.delete(record.id)
    let counts = this.ended.get(record.kind)
    if (counts === undefined) {
      this.ended.set(record.kind, counts = { completed: 0, failed: 0, cancelled: 0, refused: 0 })
    }
    counts[outcome]++
    if (this.live.size === 0) { for (const wake of this.empty.splice(0)) wake() }
  }

  abandoned(record: TaskRecord): void {
    this.abandonedCount++
    this.emit(record, { _tag: "CleanupAbandoned", afterMs: record.cleanupMs })
  }

  named(record: TaskRecord, id: string): void {
    if (record.outcome === undefined) this.byId.set(id, record)
  }

  find(id: string): TaskRecord | undefined {
    return this.byId.get(id)
  }

  /** Events cost something only for a task that somebody can name, or while somebody listens. */
  observed(record: TaskRecord): boolean {
    return this.listeners.size > 0 || record.hasId
  }

  emit(record: TaskRecord, happening: Happening): void {
    if (!this.observed(record)) return
    const event: TreeEvent = {
      ...happening,
      seq: ++this.seq,
      at: record.clock.currentTimeMillisUnsafe(),
      taskId: record.id,
      parentId: record.parent?.id,
      name: record.name,
      kind: record.kind,
    }
    this.replay.push(event)
    if (this.replay.length > replayCapacity) this.replay.shift()
    for (const listener of this.listeners) listener(event)
  }

  /** Events after that number that are still kept, oldest first. */
  since(seq: number): ReadonlyArray<TreeEvent> {
    return this.replay.filter((event) => event.seq > seq)
  }

  listen(listener: (event: TreeEvent) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Calls back once no task is live; at once if none is. */
  onEmpty(callback: () => void): () => void {
    if (this.live.size === 0) {
      callback()
      return () => {}
    }
    this.empty.push(callback)
    return () => {
      const index = this.empty.indexOf(callback)
      if (index >= 0) this.empty.splice(index, 1)
    }
  }
}
