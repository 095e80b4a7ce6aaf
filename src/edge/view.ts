import { HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import * as CancelReason from "../task/CancelReason.ts"
import type { TaskInfo } from "../task/TaskTree.ts"
import type { Result } from "./results.ts"

/** A task as its client sees it. It names no other task: an id is the right to cancel. */
export interface TaskView {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly startedAt: string
  readonly ageMs: number
  readonly deadline: string | null
  readonly waitingOn: string | null
  readonly progress: TaskInfo["progress"] | null
  readonly cancelReason: CancelView | null
  /** Ended tasks only. */
  readonly outcome?: string
  /** Ended tasks only: where the answer is, and until when at most. */
  readonly result?: string
  readonly resultExpires?: string
}

/** A cancel reason, with its fields and as one phrase. */
export type CancelView = { readonly reason: string; readonly text: string }

export const cancelView = (reason: CancelReason.CancelReason): CancelView => {
  const { _tag, ...fields } = reason
  return { reason: _tag, ...fields, text: CancelReason.format(reason) }
}

export const liveView = (task: TaskInfo): TaskView => ({
  id: task.id,
  name: task.name,
  state: task.state,
  startedAt: iso(task.startedAt),
  ageMs: Math.round(task.ageMs),
  deadline: task.deadline === undefined ? null : iso(task.deadline),
  waitingOn: task.waitingOn ?? null,
  progress: task.progress ?? null,
  cancelReason: task.cancelReason === undefined ? null : cancelView(task.cancelReason),
})

/** A task as an operator sees it. */
export const operatorView = (task: TaskInfo): Record<string, unknown> => ({
  ...liveView(task),
  kind: task.kind,
  parentId: task.parentId ?? null,
  cancelPendingMs: task.cancelPendingMs ?? null,
})

export const endedView = (result: Result, ttlMs: number): TaskView => ({
  id: result.id,
  name: result.name,
  state: "ended",
  startedAt: iso(result.startedAt),
  ageMs: Math.round(result.endedAt - result.startedAt),
  deadline: null,
  waitingOn: null,
  progress: null,
  cancelReason: result.cancelReason === undefined ? null : cancelView(result.cancelReason),
  outcome: result.outcome,
  result: `/tasks/${result.id}/result`,
  resultExpires: iso(result.endedAt + ttlMs),
})

/** Weak while it lives, because its age is not part of it. */
export const etagOf = (view: TaskView): string => {
  const { ageMs: _, ...rest } = view
  const hash = createHash("sha256").update(JSON.stringify(rest)).digest("base64url").slice(0, 22)
  return view.state === "ended" ? `"${hash}"` : `W/"${hash}"`
}

/** Weak comparison (RFC 9110, 13.1.2). */
export const matches = (ifNoneMatch: string | undefined, etag: string): boolean => {
  if (ifNoneMatch === undefined) return false
  const bare = (tag: string) => tag.trim().replace(/^W\//, "")
  return ifNoneMatch.trim() === "*" ||
    ifNoneMatch.split(",").some((tag) => bare(tag) === bare(etag))
}

/** When it makes sense to ask again, in seconds: by its own progress if it tells, else soon. */
export const askAgain = (task: TaskInfo): number => {
  const { done = 0, total } = task.progress ?? {}
  if (total === undefined || done <= 0 || done >= total) return 1
  const leftMs = task.ageMs * (total - done) / done
  return Math.max(1, Math.min(60, Math.ceil(leftMs / 1000)))
}

export const json = (
  value: unknown,
  options: { readonly status?: number; readonly headers?: Record<string, string> } = {},
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(JSON.stringify(value), {
    status: options.status ?? 200,
    contentType: "application/json",
    ...(options.headers === undefined ? {} : { headers: options.headers }),
  })

const iso = (ms: number): string => new Date(ms).toISOString()
