import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Clock,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Option,
  Scheduler,
  Tracer,
} from "effect"
import { TestClock } from "effect/testing"
import { CancelReason, Deadline, Task } from "@weir/runtime"
import {
  armed,
  balanced,
  fork,
  gate,
  inside,
  occupy,
  reasonsOf,
  settle,
  tagOf,
  watched,
  world,
} from "./support.ts"

const now = Clock.currentTimeMillis

/** Makes its fiber yield once, before that step. */
class YieldsAt extends Scheduler.MixedScheduler {
  private left: number

  constructor(step: number) {
    super()
    this.left = step
  }

  override shouldYield(): boolean {
    return --this.left === 0
  }
}

describe("an ask", () => {
  it.effect("of an idle actor with a synchronous handler does not suspend its asker", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const fiber = Effect.runForkWith(yield* Effect.context())(a.ask.Note("x"))
        expect(fiber.pollUnsafe()).toEqual(Exit.succeed("x"))
        expect(yield* armed).toBe(0)
      })
    ))

  // One that had to wait must not make each later ask of the same asker wait as well.
  it.effect("does not suspend its asker after one that did", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const go = gate()
        yield* occupy(a, go.wait)
        // A suspended ask is one that has a timer.
        const asker = yield* fork(Effect.andThen(a.ask.Note("x"), a.ask.Run(armed)))
        expect(yield* armed).toBe(1)
        yield* go.open
        expect(yield* Fiber.join(asker)).toBe(0)
      })
    ))

  // §3.2, 45: not after the timeout.
  it.effect("of an actor that has stopped fails at once", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* a.stop
        const failed = yield* Effect.flip(a.ask.Note("x"))
        expect(failed).toMatchObject({ _tag: "Stopped", actor: "A", tag: "Note" })
        expect((yield* Effect.flip(a.tell.Note("x")))._tag).toBe("Stopped")
        expect((yield* Effect.flip(a.offer.Note("x")))._tag).toBe("Stopped")
      })
    ))

  it.effect("waits five seconds where no deadline is in force", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const asked = yield* fork(Effect.flip(a.ask.Run(trace.never("handler"))))
        yield* TestClock.adjust(4999)
        expect(asked.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust(1)
        expect(yield* Fiber.join(asked)).toMatchObject({
          _tag: "AskTimeout",
          actor: "A",
          tag: "Run",
          afterMs: 5000,
          state: "running",
        })
        expect(trace.steps).toEqual(["handler: deadline exceeded"])
        expect(yield* a.account).toMatchObject({ ended: { cancelled: 1 } })
      })
    ))

  // §3.2, 53: call 1 outlives its timeout; call 2, expired while queued, is never executed.
  it.effect("that expires in the queue never runs", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const first = yield* watched(
          a.ask.Run(Effect.uninterruptible(Effect.sleep("3 seconds")), { timeout: "1 second" }),
        )
        const second = yield* fork(Effect.flip(a.ask.Note("second", { timeout: "2 seconds" })))
        yield* TestClock.adjust("2 seconds")
        expect(yield* Fiber.join(second)).toMatchObject({ _tag: "AskTimeout", state: "queued" })
        expect(first()).toBe("waits")
        yield* TestClock.adjust("1 second")
        expect(first()).toBe("AskTimeout")
        expect(yield* a.ask.Note("third")).toBe("third")
        expect(trace.steps).toEqual(["third"])
        expect(yield* a.account).toMatchObject({ ended: { expired: 1, cancelled: 1, handled: 1 } })
        expect(reasonsOf(letters)).toEqual(["A Note expired"])
      })
    ))

  it.effect("whose deadline has passed never runs", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const failed = yield* Effect.flip(a.ask.Note("x", { timeout: 0 }))
        expect(failed).toMatchObject({ _tag: "AskTimeout", state: "queued" })
        expect(trace.steps).toEqual([])
        expect(yield* a.account).toMatchObject({ ended: { expired: 1 } })
      })
    ))

  // §3.2, 46: the late answer is a dead letter that names its actor and its message.
  it.effect("that was detached on timeout leaves its answer as a dead letter", () =>
    world(({ box, letters }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const asked = yield* watched(
          a.ask.Run(Effect.as(Effect.sleep(100), "late"), { timeout: 50, onCancel: "detach" }),
        )
        yield* TestClock.adjust(50)
        expect(asked()).toBe("AskTimeout")
        yield* TestClock.adjust(50)
        expect(letters).toMatchObject([
          { to: "A", tag: "Run", how: "ask", reason: "late-reply", payload: "late" },
        ])
        expect(yield* a.account).toMatchObject({ ended: { handled: 1 } })
      })
    ))

  it.effect("that was detached leaves a late typed failure as a dead letter too", () =>
    world(({ box, letters }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const asker = yield* fork(a.ask.Run(
          Effect.andThen(Effect.sleep(100), Effect.fail("late")),
          { onCancel: "detach" },
        ))
        yield* Fiber.interrupt(asker)
        yield* TestClock.adjust(100)
        expect(letters).toMatchObject([{ reason: "late-reply" }])
        expect(Cause.pretty(letters[0]!.cause as Cause.Cause<unknown>)).toContain("late")
        expect(yield* a.account).toMatchObject({ ended: { handled: 1 } })
      })
    ))

  // §3.2, 47: the second answer has nobody to go to.
  it.effect("is answered exactly once when time and answer meet", () =>
    world(({ box, letters }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const asked = yield* watched(a.ask.Run(Effect.sleep(100), { timeout: 100 }))
        yield* TestClock.adjust(100)
        expect(["ok", "AskTimeout"]).toContain(asked())
        expect(letters).toEqual([])
        expect((yield* a.account)!.sent).toBe(1)
      })
    ))

  it.effect("is counted once when its answer is on its way as its time is up", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const a = yield* boxes("A")
        // So deep that the answers take more than one turn.
        const chain = (n: number): Effect.Effect<unknown, unknown> =>
          n === 0 ? Effect.sleep(100) : a(`${n}`).ask.Run(chain(n - 1), { timeout: 100 })
        const asked = yield* watched(chain(50))
        yield* settle
        yield* TestClock.adjust(100)
        yield* settle
        expect(asked()).not.toBe("waits")
        for (let n = 1; n <= 50; n++) {
          const account = (yield* a(`${n}`).account)!
          expect(account.sent).toBe(1)
          balanced(account)
        }
      })
    ))

  it.effect("through a chain of 2,000 actors is answered", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const a = yield* boxes("A")
        const chain = (n: number): Effect.Effect<number> =>
          n === 0
            ? Effect.as(Effect.sleep(1), 0)
            : Effect.map(Effect.orDie(a(`${n}`).ask.Run(chain(n - 1))), (m: number) => m + 1)
        const asked = yield* fork(chain(2000))
        yield* settle
        for (let i = 0; i < 300; i++) yield* Effect.yieldNow
        yield* TestClock.adjust(1)
        expect(yield* Fiber.join(asked)).toBe(2000)
        const sync = (n: number): Effect.Effect<number> =>
          n === 0
            ? Effect.succeed(0)
            : Effect.map(Effect.orDie(a(`${n}`).ask.Run(sync(n - 1))), (m: number) => m + 1)
        expect(yield* sync(2000)).toBe(2000)
      })
    ))
})

describe("the deadline", () => {
  it.effect("of the asker is the handler's, and a timeout can only shorten it", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const left = Effect.map(Deadline.remaining, Duration.toMillis)
        expect(yield* a.ask.Run(left).pipe(Deadline.within("300 millis"))).toBe(300)
        expect(yield* a.ask.Run(left, { timeout: 100 }).pipe(Deadline.within("300 millis"))).toBe(
          100,
        )
        expect(yield* a.ask.Run(left, { timeout: 900 }).pipe(Deadline.within("300 millis"))).toBe(
          300,
        )
        expect(yield* a.ask.Run(left)).toBe(5000)
      })
    ))

  // Evidence §5.4, 3: nobody works for an edge that has given up.
  it.effect("is inherited across three hops: no handler runs after that of the edge", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        const a = yield* boxes("A")
        const leaf = (name: string) =>
          Effect.onInterrupt(
            Effect.sleep("1 hour"),
            () => Effect.flatMap(now, (at) => trace.add(`${name} ends at ${at}`)),
          )
        const c = leaf("C")
        // In the middle somebody tries to go on without its answer.
        const b = Effect.catch(a("c").ask.Run(c), () => trace.never("B"))
        const top = a("b").ask.Run(b)
        const edge = yield* fork(
          Effect.exit(Task.run("edge", a("a").ask.Run(top), { deadline: "100 millis" })),
        )
        yield* settle
        yield* TestClock.adjust(99)
        expect(trace.steps).toEqual([])
        yield* TestClock.adjust(1)
        expect(["DeadlineExceeded", "AskTimeout"]).toContain(tagOf(yield* Fiber.join(edge)))
        expect(trace.steps).toEqual([
          "C ends at 100",
          "B: deadline exceeded",
        ])
        for (const key of ["a", "b", "c"]) {
          expect(yield* a(key).account).toMatchObject({ running: 0, queued: 0 })
        }
      })
    ))

  it.effect("does not bind what a handler tells", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const a = yield* boxes("A")
        const seen: Array<unknown> = []
        const told = Effect.flatMap(Deadline.current, (d) => Effect.sync(() => seen.push(d._tag)))
        yield* a("a").ask.Run(Effect.orDie(a("b").tell.Run(told)), { timeout: 10 })
        yield* settle
        expect(seen).toEqual(["None"])
      })
    ))
})

describe("cancelling the asker", () => {
  // §3.2, 50 with a delay of 0, and 51: cancelled before its turn, it never runs.
  it.effect("removes a queued ask in the same turn, and frees its place", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 1 } })
        const go = gate()
        yield* occupy(a, go.wait)
        const asker = yield* fork(a.ask.Note("cancelled"))
        expect((yield* Effect.flip(a.tell.Note("too many")))._tag).toBe("MailboxFull")
        yield* Fiber.interrupt(asker)
        yield* a.tell.Note("fits")
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["fits"])
        expect(yield* a.account).toMatchObject({ ended: { cancelled: 1 } })
        // Nobody's loss.
        expect(reasonsOf(letters)).toEqual(["A Note rejected"])
      })
    ))

  // §3.2, 51 and 55: whoever is cancelled already sends nothing.
  it.effect("before it has asked sends nothing", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const asker = yield* fork(
          Effect.andThen(Effect.uninterruptible(Effect.sleep(10)), a.ask.Note("x")),
        )
        const leaving = yield* fork(Fiber.interrupt(asker))
        yield* TestClock.adjust(10)
        yield* Fiber.join(leaving)
        expect(trace.steps).toEqual([])
        expect(yield* a.account).toMatchObject({ sent: 0 })
      })
    ))

  it.effect("leaves it free to ask while it cleans up, until the end of its grace", () =>
    world(({ box, trace, tree }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const edge = yield* fork(Effect.exit(Task.run(
          "edge",
          Effect.onInterrupt(Effect.never, () => {
            const left = Effect.map(Deadline.remaining, (d) => `${Duration.toMillis(d)} ms`)
            return Effect.orDie(Effect.flatMap(a.ask.Run(left), (text) => trace.add(`${text}`)))
          }),
          { cleanup: "2 seconds" },
        )))
        yield* settle
        const task = [...tree.unsafe.live].find(({ name }) => name === "edge")!
        task.cancel(CancelReason.ClientAbort)
        yield* Fiber.join(edge)
        expect(trace.steps).toEqual(["2000 ms"])
      })
    ))

  // §3.2, 50 with a delay, and 58: the handler hears why, and the first reason sticks.
  it.effect("cancels a running handler with its reason, and waits for its cleanup", () =>
    world(({ box, trace, tree }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const edge = yield* fork(Effect.exit(Task.run(
          "edge",
          a.ask.Run(Effect.onInterrupt(
            Effect.never,
            () => Effect.andThen(Effect.sleep(100), trace.reason("handler")),
          )),
        )))
        yield* settle
        const task = [...tree.unsafe.live].find(({ name }) => name === "edge")!
        task.cancel(CancelReason.ClientAbort)
        task.cancel(CancelReason.Shutdown)
        yield* TestClock.adjust(99)
        expect(edge.pollUnsafe()).toBeUndefined()
        expect(yield* a.account).toMatchObject({ running: 1 })
        yield* TestClock.adjust(1)
        yield* Fiber.join(edge)
        expect(trace.steps).toEqual(["handler: client abort"])
        expect(yield* a.account).toMatchObject({ running: 0, ended: { cancelled: 1 } })
      })
    ))

  it.effect("passes its reason on through every actor in between", () =>
    world(({ boxes, trace, tree }) =>
      Effect.gen(function* () {
        const a = yield* boxes("A")
        const inner = a("b").ask.Run(trace.never("b"))
        const edge = yield* fork(
          Effect.exit(
            Task.run("edge", a("a").ask.Run(Effect.onInterrupt(inner, () => trace.reason("a")))),
          ),
        )
        yield* settle
        const task = [...tree.unsafe.live].find(({ name }) => name === "edge")!
        task.cancel(CancelReason.Requested("operator", "too slow"))
        yield* Fiber.join(edge)
        expect(trace.steps).toEqual([
          "b: requested by operator: too slow",
          "a: requested by operator: too slow",
        ])
      })
    ))

  it.effect("waits for the cleanup no longer than the grace; then it is abandoned and seen", () =>
    world(({ box, tree }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { grace: "1 second" })
        const go = gate()
        const asker = yield* fork(a.ask.Run(Effect.onInterrupt(Effect.never, () => go.wait)))
        yield* settle
        const leaving = yield* fork(Fiber.interrupt(asker))
        yield* TestClock.adjust(999)
        expect(leaving.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust(1)
        expect(leaving.pollUnsafe()).toBeDefined()
        expect([...tree.unsafe.live].map(({ name, state }) => `${name} ${state}`))
          .toContain("A.Run abandoned")
        // It still owns the state: the next message has to wait for it.
        const next = yield* watched(a.ask.Note("next"))
        expect(next()).toBe("waits")
        yield* go.open
        yield* settle
        expect(next()).toBe("ok")
      })
    ))

  it.effect("with onCancel: detach lets a running handler run", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const asker = yield* fork(
          a.ask.Run(Effect.andThen(Effect.sleep(100), trace.add("done")), { onCancel: "detach" }),
        )
        const queued = yield* fork(a.ask.Note("queued", { onCancel: "detach" }))
        yield* Fiber.interrupt(asker)
        yield* Fiber.interrupt(queued)
        yield* TestClock.adjust(100)
        // What had not begun does not begin.
        expect(trace.steps).toEqual(["done"])
        expect(reasonsOf(letters)).toEqual(["A Run late-reply"])
        expect(yield* a.account).toMatchObject({ ended: { handled: 1, cancelled: 1 } })
      })
    ))

  // §3.2, 56: a shield keeps the cancel out until it ends.
  it.effect("does not interrupt a message that is uninterruptible", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const asker = yield* fork(a.ask.Firm(Effect.andThen(Effect.sleep(100), trace.add("done"))))
        yield* settle
        yield* Fiber.interrupt(asker)
        expect(trace.steps).toEqual([])
        yield* TestClock.adjust(100)
        expect(trace.steps).toEqual(["done"])
        expect(letters.map((letter) => letter.reason)).toEqual(["late-reply"])
        expect(yield* a.account).toMatchObject({ ended: { handled: 1 } })
      })
    ))

  // §3.2, 54: of two that run at once, only the one is cancelled.
  it.effect("leaves the other handlers of the actor alone", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { concurrency: 2 })
        const one = yield* fork(a.ask.Run(trace.never("one")))
        const two = yield* watched(a.ask.Run(Effect.andThen(Effect.sleep(100), trace.add("two"))))
        yield* settle
        yield* Fiber.interrupt(one)
        yield* TestClock.adjust(100)
        expect(two()).toBe("ok")
        expect(trace.steps).toEqual(["one: parent ended: asker", "two"])
      })
    ))

  // §3.2, 57: a shielded handler is waited for, but not for ever.
  it.effect("ends at the ask's own deadline even if the handler shields itself", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { grace: "1 second" })
        const go = gate()
        const asked = yield* watched(a.ask.Run(Effect.uninterruptible(go.wait), { timeout: 100 }))
        yield* TestClock.adjust(100)
        expect(asked()).toBe("waits")
        yield* TestClock.adjust(1000)
        expect(asked()).toBe("AskTimeout")
        yield* go.open
        yield* settle
      })
    ))

  it.effect("while its message is on its way takes it back", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const asker = yield* Deferred.make<Fiber.Fiber<unknown, unknown>>()
        // The handler's first step, on the asker's own stack, interrupts the asker.
        const cancels = Effect.andThen(
          Effect.flatMap(
            Deferred.await(asker),
            (fiber) => Effect.sync(() => fiber.interruptUnsafe()),
          ),
          trace.never("handler"),
        )
        const fiber = yield* fork(Effect.withFiber((self) =>
          Effect.andThen(
            Deferred.succeed(asker, self as Fiber.Fiber<unknown, unknown>),
            a.ask.Run(cancels),
          )
        ))
        yield* Fiber.await(fiber)
        expect(trace.steps).toEqual(["handler: parent ended: asker"])
        expect(yield* a.account).toMatchObject({ running: 0, ended: { cancelled: 1 } })
      })
    ))

  it.effect("is safe between any two steps of the asker", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 1 } })
        const go = gate()
        yield* occupy(a, go.wait)
        const tries = [{ send: a.ask.Note("ask"), queued: 0 }, {
          send: a.offer.Note("x"),
          queued: 1,
        }]
        for (const { send, queued } of tries) {
          if (queued === 1) yield* a.tell.Note("fills the mailbox")
          for (let step = 1; step < 12; step++) {
            const fiber = yield* fork(
              Effect.provideService(
                Effect.exit<unknown, unknown, never>(send),
                Scheduler.Scheduler,
                new YieldsAt(step),
              ),
            )
            yield* Fiber.interrupt(fiber)
            expect(yield* a.account).toMatchObject({ queued, running: 1 })
          }
        }
        yield* go.open
        yield* settle
      })
    ))

  it.effect("of 1,000 askers leaves nothing running", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        const a = yield* boxes("A", { concurrency: 3 })
        const askers: Array<Fiber.Fiber<unknown, unknown>> = []
        for (let i = 0; i < 1000; i++) {
          askers.push(yield* fork(a(`${i % 10}`).ask.Run(trace.never("x"), { timeout: "1 hour" })))
        }
        yield* settle
        yield* Effect.forEach(askers.reverse(), Fiber.interrupt, {
          concurrency: "unbounded",
          discard: true,
        })
        for (let i = 0; i < 10; i++) {
          expect(yield* a(`${i}`).account).toMatchObject({
            sent: 100,
            queued: 0,
            running: 0,
            ended: { cancelled: 100 },
          })
        }
        // The youngest left first, so only those that had a place ever ran.
        expect(trace.steps).toHaveLength(30)
      })
    ))
})

describe("a tell", () => {
  it.effect("outlives its sender, and has a cancel scope of the actor's", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* Task.run("request", a.tell.Run(trace.never("told")))
        yield* settle
        expect(trace.steps).toEqual([])
        yield* a.stop.pipe(fork)
        yield* TestClock.adjust("5 seconds")
        expect(trace.steps).toEqual(["told: requested by stop"])
      })
    ))

  it.effect("offers with expires wait for room no longer than that", () =>
    world(({ box, letters }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 1, offerers: 2 } })
        const go = gate()
        yield* occupy(a, go.wait)
        yield* a.tell.Note("in line")
        const offered = yield* watched(a.offer.Note("late", { expires: 100 }))
        const patient = yield* watched(a.offer.Note("patient", { expires: 200 }))
        yield* TestClock.adjust(99)
        expect(offered()).toBe("waits")
        yield* TestClock.adjust(1)
        expect(offered()).toBe("MailboxFull")
        expect(reasonsOf(letters)).toEqual(["A Note expired"])
        yield* go.open
        yield* settle
        expect(patient()).toBe("ok")
        yield* TestClock.adjust(200)
        expect(yield* a.account).toMatchObject({ ended: { expired: 1, handled: 3 } })
      })
    ))

  it.effect("whose handler somebody cancels hears why", () =>
    world(({ box, tree }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const asked = yield* fork(Effect.flip(a.ask.Run(Effect.never)))
        for (const task of Array.from(tree.unsafe.live)) {
          if (task.name === "A.Run") task.cancel(CancelReason.Requested("operator", "too slow"))
        }
        expect(yield* Fiber.join(asked)).toMatchObject({
          _tag: "ActorFailed",
          message: expect.stringContaining("requested by operator: too slow"),
        })
      })
    ))

  it.effect("is a span below that of its asker, and so is a tell", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const spans: Array<Tracer.NativeSpan> = []
        const tracer = Tracer.make({
          span: (options) => {
            const span = new Tracer.NativeSpan(options)
            spans.push(span)
            return span
          },
        })
        const traced = Effect.provideService(Tracer.Tracer, tracer)
        const a = yield* traced(box("A"))
        yield* traced(Effect.withSpan(Effect.andThen(a.ask.Note("x"), a.tell.Note("y")), "sender"))
        yield* a.ask.Note("nobody traces this")
        yield* settle
        const [sender, ...others] = spans
        expect(others.map((span) => [span.name, Object.fromEntries(span.attributes)])).toEqual([
          ["A.Note", { "weir.actor.path": "A", "weir.actor.how": "ask" }],
          ["A.Note", { "weir.actor.path": "A", "weir.actor.how": "tell" }],
        ])
        for (const span of others) {
          expect(Option.getOrUndefined(span.parent)?.spanId).toBe(sender!.spanId)
          expect(span.status._tag).toBe("Ended")
        }
      })
    ))

  it.effect("with expires never runs after that time", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const go = gate()
        yield* occupy(a, go.wait)
        yield* a.tell.Note("short", { expires: 100 })
        yield* a.tell.Note("long", { expires: 101 })
        yield* TestClock.adjust(100)
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["long"])
        expect(reasonsOf(letters)).toEqual(["A Note expired"])
        expect(yield* a.account).toMatchObject({ ended: { expired: 1, handled: 2 } })
      })
    ))

  it.effect("counts its expiry from its own time, whoever has scheduled the turn", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* a.tell.Note("first")
        yield* settle
        yield* TestClock.adjust("1 hour")
        yield* a.ask.Run(inside((context) =>
          context.timer("t", { after: 1000 }, Effect.orDie(a.tell.Note("told", { expires: 100 })))
        ))
        yield* TestClock.adjust(1000)
        yield* settle
        // The turn after `unstashAll` was scheduled without a look at the clock.
        yield* a.ask.Run(inside((context) =>
          context.stash
        )).pipe(fork)
        yield* a.ask.Run(
          inside((context) =>
            Effect.andThen(context.unstashAll, Effect.orDie(a.tell.Note("again", { expires: 100 })))
          ),
          { timeout: 10 },
        ).pipe(fork)
        yield* TestClock.adjust(10)
        expect(trace.steps).toContain("told")
        expect(trace.steps).toContain("again")
      })
    ))
})
