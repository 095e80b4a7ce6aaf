/**
 * What Effect's own parts give without an actor library: a bounded `Queue`, a fiber that takes from
 * it, and a `Deferred` for each ask. Twice: one message at a time (`naive`), as one would write it
 * first, and `takeAll` (`batched`), as one would write it after measuring. Neither has supervision,
 * deadlines, or a way to take a message back.
 */
import { Deferred, Effect, Exit, Queue, Scope } from "effect"
import { asks, contended, type Counter, tells } from "./drive_effect.ts"
import { CAPACITY, Handled, type Job, population, type Run, type Workload } from "./shared.ts"

interface Message {
  readonly count: number
  readonly reply: Deferred.Deferred<number> | undefined
}

interface Options {
  readonly batched: boolean
  readonly suspends?: boolean
  readonly stopped?: () => void
}

const make = Effect.fnUntraced(function* (handled: Handled, options: Options) {
  const queue = yield* Effect.acquireRelease(Queue.bounded<Message>(CAPACITY), Queue.shutdown)
  let sum = 0
  const add = ({ count, reply }: Message): Effect.Effect<unknown> =>
    Effect.suspend(() => {
      sum += count
      handled.hit()
      return reply === undefined ? Effect.void : Deferred.succeed(reply, sum)
    })
  const handle = options.suspends === true
    ? (message: Message) => Effect.andThen(Effect.promise(() => Promise.resolve()), add(message))
    : add
  if (options.stopped !== undefined) yield* Effect.addFinalizer(() => Effect.sync(options.stopped!))
  // Not Effect.forever: it gives way after each round, which made each message cost 6 µs more.
  const one = Effect.gen(function* () {
    while (true) yield* handle(yield* Queue.take(queue))
  })
  const batches = Effect.gen(function* () {
    while (true) {
      for (const message of yield* Queue.takeAll(queue)) yield* handle(message)
    }
  })
  yield* Effect.forkScoped(options.batched ? batches : one, { startImmediately: true })
  return {
    tell: (count) => Queue.offer(queue, { count, reply: undefined }),
    ask: (count) =>
      Effect.flatMap(
        Deferred.make<number>(),
        (reply) => Effect.andThen(Queue.offer(queue, { count, reply }), Deferred.await(reply)),
      ),
  } satisfies Counter
})

const run = <A>(
  options: Options,
  program: (counter: Counter, handled: Handled) => Effect.Effect<A, unknown>,
): Promise<A> => {
  const handled = new Handled()
  return Effect.runPromise(
    Effect.scoped(Effect.flatMap(make(handled, options), (counter) => program(counter, handled))),
  )
}

const populated = (batched: boolean, job: Job) =>
  population(job, (size, finalizers) => {
    const handled = new Handled()
    const scope = Scope.makeUnsafe()
    const actors = new Map<string, Counter>()
    let stopped = 0
    const options: Options = { batched, ...(finalizers ? { stopped: () => stopped++ } : {}) }
    const program = Effect.gen(function* () {
      for (let i = 0; i < size; i++) {
        const counter = yield* make(handled, options)
        actors.set(`a${i}`, counter)
        yield* counter.ask(1)
      }
    })
    return Promise.resolve({
      start: () => Effect.runPromise(Scope.provide(program, scope)),
      stop: async () => {
        await Effect.runPromise(Scope.close(scope, Exit.void))
        actors.clear()
        return stopped
      },
    })
  })

const runsOf = (batched: boolean): Partial<Record<Workload, Run>> => ({
  "tell": (job) => run({ batched }, (counter, handled) => tells(counter, handled, job)),
  "ask": (job) => run({ batched }, (counter) => asks(counter, job)),
  "contended": (job) => run({ batched }, (counter) => contended(counter, job)),
  "contended-suspending": (job) =>
    run({ batched, suspends: true }, (counter) => contended(counter, job)),
  "population": (job) => populated(batched, job),
})

export const naive: Partial<Record<Workload, Run>> = runsOf(false)
export const batched: Partial<Record<Workload, Run>> = runsOf(true)
