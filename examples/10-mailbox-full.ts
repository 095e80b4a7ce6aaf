/**
 * Goal: a full mailbox says so. What the sender does then is its choice: give up, or wait for room.
 * Run: deno run examples/10-mailbox-full.ts
 */
import { Actor, ActorSystem } from "@weir/runtime"
import { Console, Effect, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"

// Without a bound: an array takes whatever comes, until the process is out of memory.
const unbounded: Array<number> = []
for (let order = 1; order <= 1000; order++) unbounded.push(order)

const Print = Rpc.make("Print", { payload: { order: Schema.Int } })
const Printer = Actor.single("Printer", [Print], { mailbox: { capacity: 3 } })

const PrinterLive = Printer.toLayer(Printer.of({
  Print: ({ payload }) =>
    Effect.andThen(Effect.sleep("10 millis"), Console.log(`  printed ${payload.order}`)),
}))

const program = Effect.gen(function* () {
  const printer = yield* Printer.client
  yield* Console.log(`an array holds ${unbounded.length} orders, and would hold a million`)

  // tell never waits: three fit, the fourth is told so, with the numbers.
  for (let order = 1; order <= 4; order++) {
    yield* printer.tell.Print({ order }).pipe(
      Effect.andThen(Console.log(`told ${order}`)),
      Effect.catchTag(
        "MailboxFull",
        ({ capacity, waiting }) =>
          Console.log(`refused ${order}: ${waiting} of ${capacity} places are taken`),
      ),
    )
  }

  // offer waits for room, as long as the sender wishes.
  yield* printer.offer.Print({ order: 5 })
  yield* Console.log("offered 5")

  // By now it is known that an order takes 10 ms. Behind order 6, order 7 cannot be printed within
  // 5 ms: so it is refused at once, and not after 5 ms of waiting.
  yield* Effect.sleep("100 millis")
  yield* printer.tell.Print({ order: 6 })
  yield* printer.ask.Print({ order: 7 }, { timeout: "5 millis" }).pipe(
    Effect.catchTag("MailboxFull", ({ reason }) => Console.log(`refused 7: ${reason}`)),
  )
  yield* printer.ask.Print({ order: 8 })

  // Every message has ended in exactly one way.
  const { ended, sent } = (yield* printer.account)!
  const { handled, rejected } = ended
  yield* Console.log(
    `${sent} sent = ${handled} handled + ${rejected} rejected`,
  )
})

await Effect.runPromise(program.pipe(
  Effect.provide(Layer.provideMerge(PrinterLive, ActorSystem.layer())),
  Effect.provide(Logger.layer([])), // the log would tell of each message that was lost
))

// Output:
// an array holds 1000 orders, and would hold a million
// told 1
// told 2
// told 3
// refused 4: 3 of 3 places are taken
// offered 5
//   printed 1
//   printed 2
//   printed 3
//   printed 5
// refused 7: Infeasible
//   printed 6
//   printed 8
// 8 sent = 6 handled + 2 rejected
