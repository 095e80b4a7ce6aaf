import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Door } from "../../src/actor/door.ts"
import { Entry } from "../../src/actor/entry.ts"
import { Mailbox } from "../../src/actor/memory.ts"
import { resolve } from "../../src/actor/options.ts"
import { isRefusal } from "../../src/bounded/Refused.ts"
import * as ServiceTime from "../../src/bounded/ServiceTime.ts"

const request = { now: 0, deadline: Infinity, service: undefined }

const scene = (capacity: number) => {
  const settings = resolve("Till", { mailbox: { capacity } }, 1, false)
  let current: Mailbox | undefined
  const door = new Door("Till", settings, () => current)
  const life = () =>
    current = new Mailbox(
      "Till",
      settings.mailbox,
      ServiceTime.make(),
      { lost: () => {}, waited: () => {} },
      door,
    )
  const end = () => {
    current = undefined
  }
  return { door, end, life }
}

const message = (how: "tell" | "offer") =>
  new Entry({ path: "Till" }, pay, undefined, how, 0, Infinity)

const pay = { tag: "Pay", lane: 0, reentrant: false, uninterruptible: false, retries: 0 }

const ticketOf = (door: Door) => {
  const ticket = door.reserve(request)
  if (isRefusal(ticket)) throw new Error(ticket.reason)
  return ticket
}

describe("the door of a single actor", () => {
  it.effect("keeps a ticket's place in the next mailbox, when the kind is restarted", () =>
    Effect.sync(() => {
      const { door, end, life } = scene(2)
      life()
      const kept = ticketOf(door)
      end()
      expect(door.reserve(request)).toMatchObject({ reason: "Closed", retryAfterMs: 1000 })
      expect(door.stats(0).waiting).toBe(1)
      const next = life()
      // One place is the ticket's: only one more message is taken.
      expect(next.offer(message("tell"), 0)).toBe(undefined)
      expect(next.offer(message("tell"), 0)).toMatchObject({ reason: "Full" })
      expect(next.offer(message("tell"), 0, kept)).toBe(undefined)
      expect(kept.open).toBe(false)
      expect(door.stats(0).waiting).toBe(2)
    }))

  it.effect("takes a ticket of an earlier life back, once", () =>
    Effect.sync(() => {
      const { door, life } = scene(1)
      life()
      const ticket = ticketOf(door)
      const next = life()
      expect(next.offer(message("tell"), 0)).toMatchObject({ reason: "Full" })
      ticket.release()
      ticket.release()
      expect(door.stats(0).waiting).toBe(0)
      expect(next.offer(message("tell"), 0)).toBe(undefined)
    }))

  it.effect("lets in who waits for room when a ticket is given back unused", () =>
    Effect.sync(() => {
      const { door, life } = scene(1)
      const mailbox = life()
      const ticket = ticketOf(door)
      const offer = message("offer")
      let admitted = 0
      offer.admitted = () => admitted++
      expect(mailbox.offer(offer, 0)).toBe(undefined)
      expect([offer.state, admitted]).toEqual(["offering", 0])
      ticket.release()
      expect([offer.state, admitted]).toEqual(["queued", 1])
      expect(door.stats(0)).toMatchObject({ waiting: 1, highWater: 1 })
    }))
})
