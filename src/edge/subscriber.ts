import { Duration, Effect, Option } from "effect"
import type { TaskEvent } from "../task/TaskTree.ts"
import { cancelView } from "./view.ts"

/**
 * One reader of one task's events: a bounded buffer that drops the oldest and says how many. A
 * reader that does not read costs this buffer and nothing else.
 */
export class Subscriber {
  private readonly capacity: number
  private readonly heartbeat: Duration.Duration
  private buffer: Array<string> = []
  private dropped = 0
  private closed = false
  private wake: (() => void) | undefined = undefined

  constructor(capacity: number, heartbeat: Duration.Input) {
    this.capacity = capacity
    this.heartbeat = Duration.fromInputUnsafe(heartbeat)
  }

  /** Adds a frame; the last one closes the stream once it has been read. */
  push(frame: string, last: boolean): void {
    if (this.closed) return
    this.buffer.push(frame)
    if (this.buffer.length > this.capacity) {
      this.buffer.shift()
      this.dropped++
    }
    if (last) this.closed = true
    this.wake?.()
  }

  /** Ends the stream after what is buffered. */
  close(): void {
    this.closed = true
    this.wake?.()
  }

  /** What there is to send, a comment after a quiet time, or `undefined` at the end. */
  get next(): Effect.Effect<string | undefined> {
    return Effect.suspend(() => {
      if (this.buffer.length > 0 || this.closed) return Effect.succeed(this.take())
      return Effect.map(
        Effect.timeoutOption(this.woken, this.heartbeat),
        Option.match({ onNone: () => ": still here\n\n", onSome: () => this.take() }),
      )
    })
  }

  private take(): string | undefined {
    const frames = this.buffer
    if (frames.length === 0) return undefined
    this.buffer = []
    const gap = this.dropped === 0 ? "" : gapFrame(this.dropped)
    this.dropped = 0
    return gap + frames.join("")
  }

  private get woken(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.wake = () => {
        this.wake = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        this.wake = undefined
      })
    })
  }
}

/** Says that events are missing here: how many, or how many at most. */
export const gapFrame = (dropped: number, exact = true): string =>
  frame("gap", exact ? { dropped } : { droppedAtMost: dropped })

/** One server-sent event; without an id it does not move the client's `Last-Event-ID`. */
export const frame = (event: string, data: unknown, id?: number): string =>
  `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

/** An event of the tree as its client sees it. */
export const eventFrame = (event: TaskEvent): string => {
  const at = new Date(event.at).toISOString()
  switch (event._tag) {
    case "Started":
      return frame("started", { at, name: event.name }, event.seq)
    case "Waiting":
      return frame("waiting", { at, on: event.on }, event.seq)
    case "Resumed":
      return frame("resumed", { at }, event.seq)
    case "Progress":
      return frame("progress", { at, ...event.progress }, event.seq)
    case "CancelRequested":
      return frame("cancel-requested", { at, ...cancelView(event.reason) }, event.seq)
    case "CleanupStarted":
      return frame("cleanup-started", { at, step: event.step }, event.seq)
    case "CleanupEnded":
      return frame("cleanup-ended", { at, step: event.step, failed: event.failed }, event.seq)
    case "CleanupAbandoned":
      return frame("cleanup-abandoned", { at, afterMs: event.afterMs }, event.seq)
    case "Ended":
      return frame("ended", { at, outcome: event.outcome }, event.seq)
  }
}
