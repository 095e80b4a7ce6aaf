/**
 * Goal: a full mailbox says so. What the sender does then is its choice: give up, or wait for room.
 * Run: deno run examples/10-mailbox-full.ts
 */
import { Actor, ActorSystem, Trace, VirtualClock } from "@weir/runtime"
import { Console, Effect, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"

// Without a bound: an array takes whatever comes, until the process is out of memory.
const unbounded = Array.from({ length: 1000 }, (_, order) => order)
console.log(`an array holds ${unbounded.length} orders, and would hold a million`)

const Print = Rpc.make("Print", { payload: { order: Schema.Int } })
// Break it: const Printer = Actor.single("Printer", [Print], { mailbox: { capacity: 3, overflow: "dropOldest" } })
const Printer = Actor.single("Printer", [Print], { mailbox: { capacity: 3 } })

const PrinterLive = Printer.toLayer(Printer.of({
  Print: ({ payload }) =>
    Effect.andThen(Effect.sleep("10 millis"), Console.log(`  printed ${payload.order}`)),
}))

const refused = ({ capacity, reason, waiting }: Actor.MailboxFull) =>
  Effect.succeed(`refused: ${reason}, ${waiting} of ${capacity} places are taken`)

const program = Effect.gen(function* () {
  const printer = yield* Printer.client

  // tell never waits: three fit, the fourth is told so, with the numbers.
  for (let order = 1; order <= 4; order++) {
    const told = Effect.as(printer.tell.Print({ order }), `told ${order}`)
    yield* told.pipe(Effect.catchTag("MailboxFull", refused), Effect.flatMap(Console.log))
  }

  // offer waits for room, as long as the sender wishes.
  yield* printer.offer.Print({ order: 5 })
  yield* Console.log("offered 5")

  // One takes 10 ms: that is known by now. So 7, behind 6, cannot be printed within 5 ms.
  yield* Effect.sleep("100 millis")
  yield* printer.tell.Print({ order: 6 })
  const asked = Effect.as(printer.ask.Print({ order: 7 }, { timeout: "5 millis" }), "printed 7")
  yield* asked.pipe(Effect.catchTag("MailboxFull", refused), Effect.flatMap(Console.log))
  yield* Effect.sleep("100 millis")

  // Every message has ended in exactly one way.
  const { ended, sent } = (yield* printer.account)!
  yield* Console.log(
    `${sent} sent = ${ended.handled} handled, ${ended.rejected} rejected, ${ended.dropped} dropped`,
  )
})

await program.pipe(
  Effect.provide(Layer.provideMerge(PrinterLive, ActorSystem.layer())),
  // Without loggers: the log would tell of each message that was lost.
  Effect.provide([VirtualClock.layer, Trace.layer(), Logger.layer([])]),
  Effect.runPromise,
)

// Output:
// an array holds 1000 orders, and would hold a million
// told 1
// told 2
// told 3
// refused: Full, 3 of 3 places are taken
// offered 5
//   printed 1
//   printed 2
//   printed 3
//   printed 5
// refused: Infeasible, 1 of 3 places are taken
//   printed 6
// 7 sent = 5 handled, 2 rejected, 0 dropped

// Output when broken:
// …
// told 4
// offered 5
//   printed 2
// …
// 7 sent = 5 handled, 1 rejected, 1 dropped
