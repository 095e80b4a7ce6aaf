import { format } from "../task/CancelReason.ts"
import type { TaskEvent } from "../task/TaskTree.ts"

interface Known {
  readonly depth: number
  readonly startedAt: number
  waitingSince: number
  cleanupSince: Array<readonly [step: string, at: number]>
}

/** Turns events into lines, one by one. Keeps the live tasks only. */
export class Timeline {
  private readonly known = new Map<string, Known>()
  private begin: number | undefined = undefined

  /** The line of an event; `undefined` when it adds nothing to the one before. */
  push(event: TaskEvent): string | undefined {
    this.begin ??= event.at
    const task = this.task(event)
    const said = this.say(event, task)
    if (event._tag === "Ended") this.known.delete(event.taskId)
    if (said === undefined) return undefined
    const [mark, text] = said
    return `${ms(event.at - this.begin).padStart(9)}  ${"│ ".repeat(task.depth)}${mark} ${text}`
  }

  private task(event: TaskEvent): Known {
    let task = this.known.get(event.taskId)
    if (task === undefined) {
      const above = event.parentId === undefined ? undefined : this.known.get(event.parentId)
      task = {
        depth: above === undefined ? 0 : above.depth + 1,
        startedAt: event.at,
        waitingSince: event.at,
        cleanupSince: [],
      }
      this.known.set(event.taskId, task)
    }
    return task
  }

  private say(event: TaskEvent, task: Known): readonly [mark: string, text: string] | undefined {
    const { name } = event
    switch (event._tag) {
      case "Started":
        return ["┌", event.kind === "task" ? name : `${name} (${event.kind})`]
      case "Waiting":
        task.waitingSince = event.at
        return ["├", `${name} waits for ${event.on}`]
      case "Resumed":
        return ["├", `${name} goes on after ${ms(event.at - task.waitingSince)}`]
      case "Progress": {
        const { done, note, total } = event.progress
        const of = total === undefined ? `${done}` : `${done} of ${total}`
        return ["├", `${name} has done ${of}${note === undefined ? "" : `: ${note}`}`]
      }
      case "CancelRequested":
        return ["├", `${name} is cancelled: ${format(event.reason)}`]
      case "CleanupStarted":
        task.cleanupSince.push([event.step, event.at])
        return ["├", `${name} cleans up: ${event.step}`]
      case "CleanupEnded": {
        const index = task.cleanupSince.findLastIndex(([step]) => step === event.step)
        const since = task.cleanupSince[index]?.[1] ?? event.at
        if (index >= 0) task.cleanupSince.splice(index, 1)
        if (event.failed) return ["├", `${name} could not clean up: ${event.step}`]
        if (since === event.at) return undefined
        return ["├", `${name} has cleaned up: ${event.step}, ${ms(event.at - since)}`]
      }
      case "CleanupAbandoned":
        return ["├", `${name} is left behind: still cleaning up after ${ms(event.afterMs)}`]
      case "Ended":
        return ["└", `${name} ${event.outcome} after ${ms(event.at - task.startedAt)}`]
    }
  }
}

const ms = (millis: number): string => `${Math.round(millis)} ms`
