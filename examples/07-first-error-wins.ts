/**
 * Goal: the first failure stops the others at once, and no failure is lost.
 * Run: deno run examples/07-first-error-wins.ts
 */
import { Task, Trace, VirtualClock } from "@weir/runtime"
import { Cause, Console, Effect } from "effect"

// With promises: the first failure is reported, the others go on, and later failures are lost.
const step = async (name: string, ms: number, error?: string) => {
  await new Promise((resolve) => setTimeout(resolve, ms))
  console.log(`promise: ${name} ${error ?? "is done"}`)
  if (error !== undefined) throw new Error(error)
}
const steps = [step("card", 5, "declined"), step("stock", 15, "sold out"), step("mail", 25)]
await Promise.all(steps).catch((error) => console.log(`promise: reported: ${error.message}`))
await Promise.allSettled(steps)

// With a group: its tasks are siblings. One fails, the others are cancelled and clean up.
const card = Effect.andThen(Effect.sleep("5 millis"), Effect.fail("declined"))
const giveBack = Effect.andThen(
  Console.log("group: gives the chair back"),
  Effect.die("the shelf is locked"),
)
const stock = Effect.gen(function* () {
  yield* Effect.addFinalizer(() => Task.cleanup("give the chair back", giveBack))
  yield* Effect.sleep("15 millis")
  yield* Console.log("group: stock is done")
})
const mail = Effect.gen(function* () {
  yield* Effect.addFinalizer(() => Console.log("group: the mail is not sent"))
  yield* Effect.sleep("25 millis")
  yield* Console.log("group: the mail is sent")
})

// Its tasks may fail with a string.
const order = Task.group((group: Task.Group<string>) =>
  Effect.gen(function* () {
    // Break it: yield* group.start("card", Effect.ignore(card))
    yield* group.start("card", card)
    yield* group.start("stock", stock)
    yield* group.start("mail", mail)
  }), { name: "order" })

// A cause holds everything that went wrong, the first failure first.
const tell = (reason: Cause.Reason<unknown>) =>
  Console.log(
    `group: ${Cause.isFailReason(reason) ? `failed: ${reason.error}` : ""}` +
      (Cause.isDieReason(reason) ? `bug in a cleanup: ${reason.defect}` : ""),
  )
const program = order.pipe(Effect.catchCause((cause) => Effect.forEach(cause.reasons, tell)))

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
// promise: card declined
// promise: reported: declined
// promise: stock sold out
// promise: mail is done
// group: the mail is not sent
// group: gives the chair back
// group: failed: declined
// group: bug in a cleanup: the shelf is locked

// Output when broken:
// promise: card declined
// promise: reported: declined
// promise: stock sold out
// promise: mail is done
// group: stock is done
// group: gives the chair back
// group: the mail is not sent
// group: bug in a cleanup: the shelf is locked
