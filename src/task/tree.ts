import type { Happening, Ledger, Outcome, TreeEvent } from "./events.ts"
import type { TaskRecord } from "./record.ts"
import { attempt, inTurn } from "./turn.ts"

/** Events kept for a subscriber that comes back with the last number it saw. */
const replayCapacity = 1024

/**
 * The live tasks, oldest first. The list runs through the records themselves: a `Set` makes a new
 * table every few additions, and its old ones, once the garbage collector has aged them, keep the
 * newer ones alive, and with them the garbage of the requests between.
 *
 * @category models
 * @since 0.1.0
 */
export class Live implements Iterable<TaskRecord> {
  /** How many there are. */
  size = 0
  private head: TaskRecord | undefined = undefined
  private tail: TaskRecord | undefined = undefined

  /** Appends a task that is not in the list. */
  add(record: TaskRecord): void {
    const last = this.tail
    record.older = last
    if (last === undefined) this.head = record
    else last.younger = record
    this.tail = record
    this.size++
  }

  /** Takes out a task that is in the list. */
  delete(record: TaskRecord): void {
    const { older, younger } = record
    if (older === undefined) this.head = younger
    else older.younger = younger
    if (younger === undefined) this.tail = older
    else younger.older = older
    record.older = record.younger = undefined
    this.size--
  }

  *[Symbol.iterator](): Generator<TaskRecord> {
    for (let at = this.head; at !== undefined;) {
      // It may be taken out meanwhile.
      const next: TaskRecord | undefined = at.younger
      yield at
      at = next
    }
  }
}

/**
 * The synchronous core of a tree: the live tasks of one service. Nothing in it outlives its task.
 *
 * @category models
 * @since 0.1.0
 */
export class Tree implements Ledger<TaskRecord> {
  /** The live tasks, oldest first. */
  readonly live: Live = new Live()
  /** Tasks started, by kind. */
  readonly started: Map<string, number> = new Map()
  /** Tasks ended, by kind and outcome. */
  readonly ended: Map<string, Record<Outcome, number>> = new Map()
  /** Tasks whose cleanup overran its budget. */
  abandonedCount = 0
  /** How many of the live ones are background tasks. */
  backgroundCount = 0
  private readonly byId = new Map<string, TaskRecord>()
  private readonly listeners = new Set<(event: TreeEvent) => void>()
  private readonly watchers = new Map<string, Set<(event: TreeEvent) => void>>()
  private readonly replay: Array<TreeEvent> = []
  private readonly empty: Set<() => void> = new Set()
  private readonly idle: Set<() => void> = new Set()
  private seq = 0

  /** Lists a task that starts. */
  add(record: TaskRecord): void {
    this.live.add(record)
    if (record.background) this.backgroundCount++
    this.started.set(record.kind, (this.started.get(record.kind) ?? 0) + 1)
    if (this.listeners.size > 0) this.emit(record, { _tag: "Started" })
  }

  /** Forgets a task that has ended. */
  remove(record: TaskRecord, outcome: Outcome): void {
    this.live.delete(record)
    if (record.background) this.backgroundCount--
    if (record.hasId) this.byId.delete(record.id)
    let counts = this.ended.get(record.kind)
    if (counts === undefined) {
      this.ended.set(record.kind, counts = { completed: 0, failed: 0, cancelled: 0, refused: 0 })
    }
    counts[outcome]++
    if (this.observed(record)) this.emit(record, { _tag: "Ended", outcome })
    if (this.live.size === 0) wakeAll(this.empty)
    if (this.live.size === this.backgroundCount) wakeAll(this.idle)
  }

  /** Counts a task whose cleanup overran its budget; it stays listed. */
  abandoned(record: TaskRecord): void {
    this.abandonedCount++
    if (this.observed(record)) {
      this.emit(record, { _tag: "CleanupAbandoned", afterMs: record.cleanupMs })
    }
  }

  /** Makes a live task findable by its id. */
  named(record: TaskRecord, id: string): void {
    if (record.outcome === undefined) this.byId.set(id, record)
  }

  /** The live task of that id. */
  find(id: string): TaskRecord | undefined {
    return this.byId.get(id)
  }

  /** Events cost something only for a task that somebody can name, or while somebody listens. */
  observed(record: TaskRecord): boolean {
    return this.listeners.size > 0 || record.hasId
  }

  /** Numbers an event, keeps it for a while and tells the listeners; one that throws is dropped. */
  emit(record: TaskRecord, happening: Happening): void {
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
    for (const listener of this.listeners) {
      if (!attempt(() => listener(event))) this.listeners.delete(listener)
    }
    const watchers = this.watchers.get(event.taskId)
    if (watchers !== undefined) {
      for (const watcher of watchers) {
        if (!attempt(() => watcher(event))) watchers.delete(watcher)
      }
    }
  }

  /** Number of the latest event; 0 before the first. */
  get lastSeq(): number {
    return this.seq
  }

  /** Events after that number that are still kept (at most 1,024), oldest first. */
  since(seq: number): ReadonlyArray<TreeEvent> {
    return this.replay.filter((event) => event.seq > seq)
  }

  /** Calls back with every event from now on, until the returned function is called. */
  listen(listener: (event: TreeEvent) => void): () => void {
    this.listeners.add(listener)
    return () => {
      this.listeners.delete(listener)
    }
  }

  /** The same for one task; unlike a listener it costs the other tasks nothing. */
  watch(id: string, watcher: (event: TreeEvent) => void): () => void {
    let watchers = this.watchers.get(id)
    if (watchers === undefined) this.watchers.set(id, watchers = new Set())
    const own = watchers.add(watcher)
    return () => {
      own.delete(watcher)
      if (own.size === 0 && this.watchers.get(id) === own) this.watchers.delete(id)
    }
  }

  /** Calls back once no task is live; at once if none is. Returns its removal. */
  onEmpty(callback: () => void): () => void {
    return once(this.empty, this.live.size === 0, callback)
  }

  /** Calls back once no task is live but background ones; at once if so. Returns its removal. */
  onIdle(callback: () => void): () => void {
    return once(this.idle, this.live.size === this.backgroundCount, callback)
  }
}

const once = (waiting: Set<() => void>, now: boolean, callback: () => void): () => void => {
  if (now) callback()
  else waiting.add(callback)
  return () => {
    waiting.delete(callback)
  }
}

const wakeAll = (waiting: Set<() => void>): void => {
  if (waiting.size === 0) return
  const all = Array.from(waiting)
  waiting.clear()
  for (const wake of all) inTurn(wake)
}
