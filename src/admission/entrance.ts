import type { Bounded, Ticket } from "../bounded/Bounded.ts"
import { Quota } from "../bounded/quota.ts"
import { isRefusal, type Refusal } from "../bounded/Refused.ts"
import { Mistake } from "../internal/mistake.ts"
import type { Guard } from "./guard.ts"
import type { Limits, Modes, Quotas, Request } from "./models.ts"

const none: ReadonlyArray<Ticket> = []

const allOn: Modes = { memory: "on", loopLag: "on", concurrency: "on", quota: "on", tickets: "on" }

/** The door of a service: its layers, one after the other. */
export class Entrance {
  readonly places: Quota
  private readonly memory: Guard | undefined
  private readonly loopLag: Guard | undefined
  private readonly quotas: Quotas | undefined
  private modes: Modes = allOn
  private closed = false

  constructor(
    limits: Limits & { readonly maxConcurrent: number },
    quotas: Quotas | undefined,
    memory: Guard | undefined,
    loopLag: Guard | undefined,
  ) {
    this.places = new Quota("admission", "admission", limits.maxConcurrent)
    this.quotas = quotas
    this.memory = memory
    this.loopLag = loopLag
    this.update(limits)
  }

  get inUse(): number {
    return this.places.inUse
  }

  get limits(): { readonly maxConcurrent: number; readonly modes: Modes } {
    return { maxConcurrent: this.places.capacity, modes: this.modes }
  }

  update({ maxConcurrent, modes }: Limits): void {
    for (const [layer, mode] of Object.entries(modes ?? {})) {
      if (!Object.hasOwn(allOn, layer)) {
        throw new Mistake(
          `There is no layer "${layer}" of admission. Use ${Object.keys(allOn).join(", ")}.`,
        )
      }
      if (mode !== undefined && mode !== "on" && mode !== "dark" && mode !== "off") {
        throw new Mistake(
          `The mode of the layer ${layer} is ${JSON.stringify(mode)}, but it must be "on", ` +
            '"dark" or "off".',
        )
      }
    }
    if (maxConcurrent !== undefined) this.places.resize(maxConcurrent)
    const given = Object.entries(modes ?? {}).filter(([, mode]) => mode !== undefined)
    this.modes = { ...this.modes, ...Object.fromEntries(given) }
  }

  enter(uses: ReadonlyArray<Bounded>, request: Request): ReadonlyArray<Ticket> | Refusal {
    const { modes, places } = this
    if (this.closed) return places.refuse("ShuttingDown", 1000)
    const guarded = this.guarded(this.memory, modes.memory, request) ??
      this.guarded(this.loopLag, modes.loopLag, request)
    if (guarded !== undefined) return guarded
    if (places.inUse >= places.capacity) {
      if (modes.concurrency === "on") return places.refuse("QueueFull", 1000)
      if (modes.concurrency === "dark") places.spare("QueueFull")
    }
    const quotas = modes.quota === "off" ? undefined : this.quotas
    let counted = false
    if (quotas !== undefined) {
      const over = quotas.check(request.caller, request.now, modes.quota === "dark")
      if (over === undefined) counted = true
      else if (modes.quota === "on") return over
      else places.spare(over.reason)
    }
    const tickets = uses.length === 0 || modes.tickets === "off"
      ? none
      : modes.tickets === "on"
      ? this.take(uses, request)
      : this.takeDark(uses, request)
    if (!isRefusal(tickets)) places.took()
    // What capacity refuses has been of no use to the caller.
    else if (counted) quotas!.refund?.(request.caller, request.now)
    return tickets
  }

  leave(tickets: ReadonlyArray<Ticket>): void {
    this.places.leave()
    for (let i = 0; i < tickets.length; i++) tickets[i]!.release()
  }

  close(): void {
    this.closed = true
  }

  private guarded(
    guard: Guard | undefined,
    mode: Modes["memory"],
    request: Request,
  ): Refusal | undefined {
    if (guard === undefined || mode === "off" || !guard.refuses(request)) return undefined
    if (mode === "on") return guard.refuse("Overloaded", guard.retryAfterMs)
    guard.spare("Overloaded")
    return undefined
  }

  private take(uses: ReadonlyArray<Bounded>, request: Request): ReadonlyArray<Ticket> | Refusal {
    const first = uses[0]!.reserve(request)
    if (isRefusal(first)) return first
    // A literal has one place; the first push to an empty array makes seventeen.
    const taken = [first]
    for (let i = 1; i < uses.length; i++) {
      const ticket = uses[i]!.reserve(request)
      if (isRefusal(ticket)) {
        for (const other of taken) other.release()
        return ticket
      }
      taken.push(ticket)
    }
    return taken
  }

  /** Takes what it gets. What has a bound of its own still has it, at the acquire. */
  private takeDark(uses: ReadonlyArray<Bounded>, request: Request): ReadonlyArray<Ticket> {
    const taken: Array<Ticket> = []
    const { deadline, now, service, criticality, tenant } = request
    const dark = { now, deadline, service, criticality, tenant, dark: true }
    for (const thing of uses) {
      const ticket = thing.reserve(dark)
      if (isRefusal(ticket)) this.places.spare(ticket.reason)
      else taken.push(ticket)
    }
    return taken
  }
}
