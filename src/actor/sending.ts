import { Clock, Duration, Effect, type Fiber } from "effect"
import type { Ticket } from "../bounded/Bounded.ts"
import { Mistake } from "../internal/mistake.ts"
import * as CancelReason from "../task/CancelReason.ts"
import { type CancelScope, frameOf } from "../task/scope.ts"
import { settled } from "../task/start.ts"
import { timersOf } from "../task/timers.ts"
import type { Cell } from "./cell.ts"
import * as Spans from "../telemetry/Spans.ts"
import { findCycle } from "./cycle.ts"
import { Entry, type How } from "./entry.ts"
import { AskCycle, type MailboxFull, type Stopped } from "./errors.ts"
import { hasStopped, isFull, rejected } from "./failures.ts"
import { type Handling, handlingOf } from "./handling.ts"
import type { Plan } from "./plan.ts"
import type { Mailbox } from "./memory.ts"
import type { AskOptions, SendOptions } from "./types.ts"

/** Finds the actor that a message is for. */
export interface Target {
  /** The actor, started if need be; or why there is none. */
  readonly resolve: (tag: string, how: How, payload: unknown) => Cell | Absent
}

/** Why there is no actor to take a message. */
export interface Absent {
  readonly absent: MailboxFull | Stopped | Mistake
}

/** How long an ask waits when no deadline is in force. */
const defaultAskMs = 5000

/** Puts a message into the mailbox; `offer` waits for room. */
export const tell = (
  target: Target,
  plan: Plan,
  payload: unknown,
  options: SendOptions | undefined,
  how: "tell" | "offer",
): Effect.Effect<void, MailboxFull | Stopped> =>
  Effect.withFiber((fiber) => {
    const cell = target.resolve(plan.tag, how, payload)
    if ("absent" in cell) return missing(cell)
    const now = cell.stamped()
    const expires = options?.expires === undefined ? Infinity : now + millis(options.expires)
    const entry = new Entry(cell, plan, payload, how, now, expires)
    const frame = frameOf(fiber)
    entry.from(frame)
    if (Spans.isTracing(fiber)) entry.span = fiber.cache.span
    if (how === "tell") return send(cell, entry, frame)
    const sender = handlingOf(frame.task)
    const { mailbox } = cell
    if (
      sender !== undefined && mailbox.waiting >= mailbox.options.capacity &&
      findCycle(sender, cell) !== undefined
    ) {
      cell.refuse(entry)
      return Effect.fail(isFull(cell, plan.tag, "OwnMailbox", mailbox.waiting))
    }
    return room(cell, entry, fiber, sender)
  })

/** Gives the message to the mailbox, where it may have to wait for room. */
const send = (
  cell: Cell,
  entry: Entry,
  frame: CancelScope,
): Effect.Effect<void, MailboxFull | Stopped> => {
  const rejection = cell.accept(entry, entry.at, ticketIn(frame, cell.mailbox))
  if (rejection === "stopped") return Effect.fail(hasStopped(cell, entry.tag))
  if (rejection !== undefined) {
    return rejection.reason === "Dropped"
      ? Effect.void
      : Effect.fail(rejected(cell, entry.tag, rejection))
  }
  if (entry.state === "queued") cell.schedule(entry.at)
  return Effect.void
}

/**
 * Sends and waits until the message is in the mailbox. One step: an interrupt that came between
 * sending and waiting would leave a message that nobody can take back.
 */
const room = (
  cell: Cell,
  entry: Entry,
  fiber: Fiber.Fiber<unknown, unknown>,
  sender: Handling | undefined,
): Effect.Effect<void, MailboxFull | Stopped> =>
  Effect.callback((resume) => {
    const sent = send(cell, entry, frameOf(fiber))
    if (entry.state !== "offering") return resume(sent)
    if (sender !== undefined) (sender.waitsFor ??= []).push(entry)
    const timers = timersOf(cell.home.clock)
    const timer = entry.expires === Infinity ? undefined : timers.schedule(entry.expires, () => {
      const { admitted } = entry
      entry.admitted = undefined
      if (admitted === undefined || entry.state !== "offering") return
      forget(sender, entry)
      const { waiting } = cell.mailbox
      cell.tooLate(entry, false)
      resume(Effect.fail(isFull(cell, entry.tag, "Full", waiting)))
    })
    const over = () => {
      if (timer !== undefined) timers.cancel(timer)
      forget(sender, entry)
    }
    // The sender goes on in a turn of its own: it must not run amid a change of the mailbox.
    entry.admitted = () => {
      const stopped = entry.state === "rejected"
      over()
      if (!stopped) cell.schedule()
      cell.home.later(() =>
        resume(stopped ? Effect.fail(hasStopped(cell, entry.tag)) : Effect.void)
      )
    }
    return Effect.sync(() => {
      entry.admitted = undefined
      over()
      // Also when it has just come in, and its sender had not been told yet.
      const waits = entry.state === "offering" || entry.state === "queued"
      if (waits && entry.attempts === 0) cell.forsake(entry, reasonOf(fiber), false)
    })
  })

/** Sends a message and waits for its answer. */
export const ask = (
  target: Target,
  plan: Plan,
  payload: unknown,
  options: AskOptions | undefined,
): Effect.Effect<unknown, unknown> =>
  Effect.withFiber((fiber) => {
    const cell = target.resolve(plan.tag, "ask", payload)
    if ("absent" in cell) return missing(cell)
    const frame = frameOf(fiber)
    const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
    const asker = frame.task === undefined ? undefined : handlingOf(frame.task)
    if (asker !== undefined && !plan.reentrant) {
      const path = findCycle(asker, cell)
      if (path !== undefined) return Effect.fail(new AskCycle({ path, tag: plan.tag }))
    }
    const limit = options?.timeout === undefined
      ? frame.deadline === Infinity ? now + defaultAskMs : frame.deadline
      : Math.min(frame.deadline, now + millis(options.timeout))
    const entry = new Entry(cell, plan, payload, "ask", now, limit)
    if (Spans.isTracing(fiber)) entry.span = fiber.cache.span
    entry.from(frame)
    entry.parent = frame.task as Handling | undefined
    entry.tickets = frame.tickets
    return answer(cell, entry, fiber, asker, options?.onCancel === "detach")
  })

/**
 * Sends and waits for the answer, which may be there at once. One step: the actor runs on this
 * stack, and what it runs may cancel the asker, who must then be able to take the message back.
 */
const answer = (
  cell: Cell,
  entry: Entry,
  fiber: Fiber.Fiber<unknown, unknown>,
  asker: Handling | undefined,
  detach: boolean,
): Effect.Effect<unknown, unknown> =>
  Effect.callback((resume) => {
    const rejection = cell.accept(entry, entry.at, ticketIn(frameOf(fiber), cell.mailbox))
    if (rejection === "stopped") return resume(Effect.fail(hasStopped(cell, entry.tag)))
    if (rejection !== undefined) return resume(Effect.fail(rejected(cell, entry.tag, rejection)))
    if (asker !== undefined) (asker.waitsFor ??= []).push(entry)
    cell.soon(entry.at)
    if (entry.exit !== undefined) {
      forget(asker, entry)
      return resume(entry.exit)
    }
    const timers = timersOf(cell.home.clock)
    const timer = entry.expires === Infinity
      ? undefined
      : timers.schedule(entry.expires, () => cell.tooLate(entry, detach))
    entry.reply = (exit) => {
      if (timer !== undefined) timers.cancel(timer)
      forget(asker, entry)
      resume(exit)
    }
    return Effect.suspend(() => {
      if (timer !== undefined) timers.cancel(timer)
      forget(asker, entry)
      const handling = cell.forsake(entry, reasonOf(fiber), detach)
      return handling === undefined ? Effect.void : settled(handling)
    })
  })

const forget = (asker: Handling | undefined, entry: Entry): void => {
  const waits = asker?.waitsFor
  const index = waits === undefined ? -1 : waits.indexOf(entry)
  if (index >= 0) waits!.splice(index, 1)
}

/** Why the fiber is being interrupted. */
const reasonOf = (fiber: Fiber.Fiber<unknown, unknown>): CancelReason.CancelReason => {
  const frame = frameOf(fiber)
  const task = frame.task as Handling | undefined
  return frame.effectiveReason() ?? CancelReason.ParentEnded(task?.name ?? "asker")
}

/** The place that this work took at the door, if it did. */
const ticketIn = (frame: CancelScope, { line }: Mailbox): Ticket | undefined =>
  line === undefined ? undefined : frame.ticketFor(line.bounded)

const missing = ({ absent }: Absent): Effect.Effect<never, MailboxFull | Stopped> =>
  absent instanceof Mistake ? Effect.die(absent) : Effect.fail(absent)

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))
