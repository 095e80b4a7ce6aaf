/**
 * XState, twice: the counter as a state machine (`machine`), which is what its documentation is
 * about, and as a transition function (`transition`), which it recommends for state without states.
 * `send` handles the event before it returns, so an answer is read from the snapshot. There is
 * neither a handler that suspends nor a mailbox that fills.
 */
import { assign, createActor, fromTransition, setup } from "npm:xstate@5.33.3"
import { asks, contended, type Counter, tells } from "./drive_promise.ts"
import { Handled, type Job, population, type Run, type Workload } from "./shared.ts"

interface Add {
  readonly type: "add"
  readonly count: number
}

interface State {
  readonly sum: number
}

/** What the workloads use of an actor. */
interface Adder {
  readonly send: (event: Add) => void
  readonly getSnapshot: () => { readonly context: State }
  readonly stop: () => unknown
}

/** How actors of one logic are made; `stopped` is called when one has ended. */
type Logic = (hit: () => void) => (stopped?: () => void) => Adder

const transition: Logic = (hit) => {
  const logic = fromTransition((state: State, { count }: Add) => {
    hit()
    return { sum: state.sum + count }
  }, { sum: 0 })
  return (stopped) => {
    const actor = createActor(logic)
    if (stopped !== undefined) actor.subscribe({ complete: stopped })
    return actor.start()
  }
}

const machine: Logic = (hit) => {
  const logic = setup({
    types: { context: {} as State, events: {} as Add },
  }).createMachine({
    context: { sum: 0 },
    on: {
      add: {
        actions: assign({
          sum: ({ context, event }) => {
            hit()
            return context.sum + event.count
          },
        }),
      },
    },
  })
  return (stopped) => {
    const actor = createActor(logic)
    if (stopped !== undefined) actor.subscribe({ complete: stopped })
    return actor.start()
  }
}

const ask = (actor: Adder, count: number): Promise<number> => {
  actor.send({ type: "add", count })
  return Promise.resolve(actor.getSnapshot().context.sum)
}

const run = <A>(
  logic: Logic,
  program: (counter: Counter, handled: Handled) => Promise<A>,
): Promise<A> => {
  const handled = new Handled()
  const actor = logic(handled.hit)()
  return program({
    tell: (count) => actor.send({ type: "add", count }),
    ask: (count) => ask(actor, count),
  }, handled)
}

const populated = (logic: Logic, job: Job) =>
  population(job, (size, finalizers) => {
    const make = logic(new Handled().hit)
    const actors = new Map<string, Adder>()
    let stopped = 0
    return Promise.resolve({
      start: async () => {
        for (let i = 0; i < size; i++) {
          const actor = finalizers ? make(() => stopped++) : make()
          actors.set(`a${i}`, actor)
          await ask(actor, 1)
        }
      },
      stop: () => {
        for (const actor of actors.values()) actor.stop()
        actors.clear()
        return Promise.resolve(stopped)
      },
    })
  })

const runsOf = (logic: Logic): Partial<Record<Workload, Run>> => ({
  "tell": (job) => run(logic, (counter, handled) => tells(counter, handled, job)),
  "ask": (job) => run(logic, (counter) => asks(counter, job)),
  "contended": (job) => run(logic, (counter) => contended(counter, job)),
  "population": (job) => populated(logic, job),
})

export const xstate: Partial<Record<Workload, Run>> = runsOf(machine)
export const xstateTransition: Partial<Record<Workload, Run>> = runsOf(transition)
