import type { Cause } from "effect"
import type { Child, ChildState } from "./child.ts"
import type { RestartType } from "./specs.ts"

/**
 * One line of a supervisor's list.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildInfo {
  /** Its id. */
  readonly id: string
  /** Whether it is a supervisor itself. */
  readonly type: "worker" | "supervisor"
  /** When it is started again. */
  readonly restart: RestartType
  /** What it does. */
  readonly state: ChildState
  /** How often it was started again, or is about to be. */
  readonly restarts: number
  /** The id of its task in the task tree, while it has one. */
  readonly taskId: string | undefined
  /** Why it failed or ended last. */
  readonly lastCause: Cause.Cause<unknown> | undefined
}

/**
 * A supervisor's children as numbers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  /** Children, running or not. */
  readonly specs: number
  /** Those that have a task which lives. */
  readonly active: number
  /** Those that wait for their restart. */
  readonly restarting: number
  /** Those that are supervisors, running or not. */
  readonly supervisors: number
  /** Those that are not. */
  readonly workers: number
}

export const infoOf = (child: Child): ChildInfo => ({
  id: child.spec.id,
  type: child.spec.type,
  restart: child.spec.restart,
  state: child.state,
  restarts: child.restarted,
  taskId: child.active ? child.incarnation?.started?.record.id : undefined,
  lastCause: child.lastCause,
})

export const countsOf = (children: Iterable<Child>): Counts => {
  const counts = { specs: 0, active: 0, restarting: 0, supervisors: 0, workers: 0 }
  for (const child of children) {
    counts.specs++
    if (child.active) counts.active++
    if (child.state === "restarting") counts.restarting++
    if (child.spec.type === "supervisor") counts.supervisors++
    else counts.workers++
  }
  return counts
}
