import { TaskTree, VirtualClock } from "@weir/runtime"
import { Effect } from "effect"

/** Runs a program in virtual time and in a tree of its own; gives its events. */
export const eventsOf = async <A, E>(
  program: Effect.Effect<A, E>,
): Promise<ReadonlyArray<TaskTree.TaskEvent>> => {
  const tree = TaskTree.makeUnsafe()
  const events: Array<TaskTree.TaskEvent> = []
  tree.unsafe.listen((event) => events.push(event))
  await program.pipe(
    Effect.provideService(TaskTree.TaskTree, tree),
    Effect.provide(VirtualClock.layer),
    Effect.runPromise,
  )
  return events
}
