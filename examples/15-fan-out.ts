/**
 * Goal: ask four sources at once, and answer at the deadline with what has come by then.
 * Run: deno run examples/15-fan-out.ts
 */
import { Deadline, Task, Trace, VirtualClock } from "@weir/runtime"
import { Clock, Console, Effect, Option } from "effect"

// With promises: all or nothing. The answers that had come in time are thrown away.
const after = <A>(ms: number, value: A) =>
  new Promise<A>((resolve) => setTimeout(resolve, ms, value))
const late = new Promise<never>((_, reject) => setTimeout(reject, 20, new Error("timeout")))
const all = Promise.all([after(5, "price"), after(10, "stock"), after(40, "reviews")])
await Promise.race([all, late]).catch((error) => console.log(`promise: ${error.message}, nothing`))
await all

const source = Effect.fn("source")(function* (name: string, millis: number) {
  yield* Effect.addFinalizer(() => Task.cleanup("hang up", Effect.void))
  yield* Effect.sleep(millis)
  if (name === "offers") return yield* Effect.fail("no such shop")
  return `${name} of the chair`
})

// A source may fail or be late: that is its own affair, and the page does without it.
const ask = Effect.fn("ask")(function* (name: string, millis: number) {
  // Break it: const task = Task.run(name, source(name, millis))
  const task = Task.run(name, source(name, millis), { deadline: "80 millis" })
  return yield* task.pipe(
    Effect.tapError((error) =>
      Console.log(`  no ${name}: ${typeof error === "string" ? error : error._tag}`)
    ),
    Effect.option,
  )
})

// The page has 100 ms; its sources get 80, so that there is time to answer.
const page = Effect.gen(function* () {
  const begin = yield* Clock.currentTimeMillis
  const answers = yield* Effect.all(
    [ask("price", 20), ask("stock", 60), ask("reviews", 500), ask("offers", 10)],
    { concurrency: "unbounded" },
  )
  const found = answers.filter(Option.isSome).map(({ value }) => value)
  const took = (yield* Clock.currentTimeMillis) - begin
  yield* Console.log(
    `  after ${took} ms: ${found.length} of ${answers.length}: ${found.join(", ")}`,
  )
})

const program = page.pipe(
  Deadline.within("100 millis", "page"),
  Effect.catch((error) => Console.log(`  ${error.message}`)),
)

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
// promise: timeout, nothing
//   no offers: no such shop
//   no reviews: DeadlineExceeded
//   after 80 ms: 2 of 4: price of the chair, stock of the chair

// Output when broken:
// promise: timeout, nothing
//   no offers: no such shop
//   "page" was not done by its deadline and has been cancelled.
