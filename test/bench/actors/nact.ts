/**
 * nact, as its lessons show it: stateful actors, `dispatch`, and `query` with a timeout.
 */
import { dispatch, query, type Ref, spawn, start, stop } from "npm:nact@7.6.2"
import { asks, contended, type Counter, restarts, tells } from "./drive_promise.ts"
import {
  Handled,
  type Job,
  population,
  queuedAt,
  Restarts,
  type Run,
  type Workload,
} from "./shared.ts"

interface Add {
  readonly count: number
  readonly sender?: Ref<number>
}

const timeoutMs = 5000

const add = (hit: () => void) => (sum = 0, { count, sender }: Add): number => {
  const next = sum + count
  hit()
  if (sender !== undefined) dispatch(sender, next)
  return next
}

const ask = (actor: Ref<Add>, count: number): Promise<number> =>
  query(actor, (sender: Ref<number>) => ({ count, sender }), timeoutMs)

const run = async <A>(
  suspends: boolean,
  program: (counter: Counter, handled: Handled) => Promise<A>,
): Promise<A> => {
  const handled = new Handled()
  const system = start()
  const handle = add(handled.hit)
  const actor: Ref<Add> = spawn(
    system,
    suspends
      ? async (sum: number | undefined, message: Add) => {
        await Promise.resolve()
        return handle(sum, message)
      }
      : handle,
    "counter",
  )
  try {
    return await program(
      { tell: (count) => dispatch(actor, { count }), ask: (count) => ask(actor, count) },
      handled,
    )
  } finally {
    stop(system)
  }
}

const populated = (job: Job) =>
  population(job, (size, finalizers) => {
    const handle = add(new Handled().hit)
    const system = start()
    const actors = new Map<string, Ref<Add>>()
    const ended = Promise.withResolvers<void>()
    let stopped = 0
    const properties = finalizers
      ? {
        afterStop: () => {
          if (++stopped === size) ended.resolve()
        },
      }
      : {}
    return Promise.resolve({
      start: async () => {
        for (let i = 0; i < size; i++) {
          const actor: Ref<Add> = spawn(system, handle, `a${i}`, properties)
          actors.set(`a${i}`, actor)
          await ask(actor, 1)
        }
      },
      stop: async () => {
        for (const actor of actors.values()) stop(actor) // stop(system) leaves its children alone
        if (finalizers) await ended.promise
        actors.clear()
        stop(system)
        return stopped
      },
    })
  })

/** `onCrash` answers `reset`: the state begins anew, the message is lost, the mailbox is kept. */
const restarted = async (workload: keyof typeof queuedAt, job: Job) => {
  const seen = new Restarts()
  const system = start()
  const actor: Ref<Add | "crash"> = spawn(
    system,
    (sum: number, message: Add | "crash") => {
      if (message === "crash") {
        seen.crash()
        throw new Error("crash")
      }
      seen.message()
      return sum + message.count
    },
    "counter",
    {
      initialStateFunc: () => {
        seen.begin()
        return 0
      },
      onCrash: (_message, _error, context) => context.reset,
    },
  )
  try {
    return await restarts(
      {
        tell: (count) => dispatch(actor, { count }),
        crash: () => dispatch(actor, "crash"),
      },
      seen,
      queuedAt[workload],
      job,
    )
  } finally {
    stop(system)
  }
}

export const runs: Partial<Record<Workload, Run>> = {
  "tell": (job) => run(false, (counter, handled) => tells(counter, handled, job)),
  "ask": (job) => run(false, (counter) => asks(counter, job)),
  "contended": (job) => run(false, (counter) => contended(counter, job)),
  "contended-suspending": (job) => run(true, (counter) => contended(counter, job)),
  "population": populated,
  "restart": (job) => restarted("restart", job),
  "restart-queued": (job) => restarted("restart-queued", job),
}
