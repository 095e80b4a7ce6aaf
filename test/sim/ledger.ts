import type { Call, Sender } from "./call.ts"
import type { Control, No } from "./control.ts"
import type { Possible } from "./oracle.ts"
import { lengthOf, type Scenario } from "./scenario.ts"
import { quantile, sorted } from "./stats.ts"

/** What became of the requests that one client sent in one phase. */
export class Cell {
  /** Attempts; a request that is tried again counts again. */
  sent = 0
  operations = 0
  operationsOk = 0
  admitted = 0
  ok = 0
  late = 0
  failed = 0
  left = 0
  refused: Record<string, number> = {}
  falseRefusals = 0
  heldMs = 0
  wastedMs = 0
  /** From sending to the answer, of those that were served in time. */
  readonly latencies: Array<number> = []
  readonly waits: Array<number> = []
  /** |time that the line took - time that was told| / time that was told. */
  readonly promises: Array<number> = []

  add(other: Cell): void {
    this.sent += other.sent
    this.operations += other.operations
    this.operationsOk += other.operationsOk
    this.admitted += other.admitted
    this.ok += other.ok
    this.late += other.late
    this.failed += other.failed
    this.left += other.left
    this.falseRefusals += other.falseRefusals
    this.heldMs += other.heldMs
    this.wastedMs += other.wastedMs
    for (const [reason, n] of Object.entries(other.refused)) {
      this.refused[reason] = (this.refused[reason] ?? 0) + n
    }
    for (const x of other.latencies) this.latencies.push(x)
    for (const x of other.waits) this.waits.push(x)
    for (const x of other.promises) this.promises.push(x)
  }
}

/** The figures of a cell, or of several together. */
export interface Figures {
  readonly sent: number
  readonly operations: number
  readonly operationsOk: number
  readonly admitted: number
  readonly ok: number
  readonly late: number
  readonly failed: number
  readonly left: number
  readonly refused: Readonly<Record<string, number>>
  readonly falseRefusals: number
  /** Of those that were let in. */
  readonly lateShare: number
  /** Pool time for requests that were not served in time. */
  readonly wastedShare: number
  /** Attempts per request. */
  readonly amplification: number
  readonly latencyP50: number
  readonly latencyP99: number
  readonly waitP50: number
  readonly waitP99: number
  readonly promiseErrorP50: number
  readonly promiseErrorP90: number
}

/** The figures of a phase. */
export interface PhaseFigures extends Figures {
  readonly name: string
  readonly seconds: number
  /** Served in time per second of the phase. */
  readonly goodput: number
  readonly possible: number | undefined
  readonly clients: Readonly<Record<string, Figures>>
  /**
   * From the beginning of the phase until in every second from then on 99 % succeed; `Infinity` when that is
   * never so.
   */
  readonly recoveryMs: number
  /** By client, served requests of each tenant. */
  readonly tenants: Readonly<Record<string, ReadonlyArray<{ sent: number; ok: number }>>>
}

/** One run. */
export interface Result {
  readonly scenario: Scenario
  readonly policy: string
  readonly seed: number
  readonly phases: ReadonlyArray<PhaseFigures>
  readonly total: Figures
  readonly possible: Possible | undefined
  /** Served in time, of what could have been, in percent. */
  readonly percent: number | undefined
  /** Slots, places and tickets that nobody gave back. */
  readonly leaked: number
  readonly line: { readonly longest: number; readonly bound: number }
  /** From the order to stop until nothing was left. */
  readonly stopMs: number | undefined
  /** Let in before the order to stop, and not served in time. */
  readonly dropped: number
}

const binMs = 100

/** Counts what happens in a run. */
export class Ledger {
  readonly #scenario: Scenario
  readonly #policy: string
  readonly #seed: number
  readonly #senders: ReadonlyArray<Sender>
  readonly #cells: ReadonlyArray<ReadonlyArray<Cell>>
  readonly #tenants: ReadonlyArray<ReadonlyArray<ReadonlyArray<{ sent: number; ok: number }>>>
  readonly #sentBins: Int32Array
  readonly #okBins: Int32Array
  #endedAt = 0
  #dropped = 0

  constructor(scenario: Scenario, policy: string, seed: number, senders: ReadonlyArray<Sender>) {
    this.#scenario = scenario
    this.#policy = policy
    this.#seed = seed
    this.#senders = senders
    this.#cells = scenario.phases.map(() => senders.map(() => new Cell()))
    this.#tenants = scenario.phases.map(() =>
      senders.map(({ tenants = 1 }) => Array.from({ length: tenants }, () => ({ sent: 0, ok: 0 })))
    )
    const bins = Math.ceil(lengthOf(scenario) / binMs) + 1
    this.#sentBins = new Int32Array(bins)
    this.#okBins = new Int32Array(bins)
  }

  sent(call: Call): void {
    const cell = this.#cell(call)
    cell.sent++
    if (call.attempt === 1) cell.operations++
    this.#tenants[call.phase]![call.sender.index]![call.tenant]!.sent++
    this.#count(this.#sentBins, call)
  }

  refused(call: Call, _now: number, no: No, couldHave: boolean): void {
    const cell = this.#cell(call)
    cell.refused[no.reason] = (cell.refused[no.reason] ?? 0) + 1
    if (couldHave && no.reason !== "ShuttingDown") cell.falseRefusals++
  }

  admitted(call: Call): void {
    this.#cell(call).admitted++
  }

  /** It has its slot, or waits no more. */
  waited(call: Call, now: number): void {
    const cell = this.#cell(call)
    if (call.state === "running") cell.waits.push(call.waitedMs)
    const { watched } = call
    if (watched === undefined) return
    call.watched = undefined
    if (call.state !== "running") return
    for (let i = 0; i < watched.length; i += 2) {
      cell.promises.push(Math.abs(now - watched[i]! - watched[i + 1]!) / watched[i + 1]!)
    }
  }

  answered(call: Call, now: number): void {
    const cell = this.#cell(call)
    const { outcome } = call
    if (outcome === "ok") {
      cell.ok++
      cell.operationsOk++
      cell.latencies.push(now - call.sentAt)
      this.#tenants[call.phase]![call.sender.index]![call.tenant]!.ok++
      this.#count(this.#okBins, call)
      return
    }
    if (outcome === "left") {
      cell.left++
      this.#count(this.#sentBins, call, -1)
    } else if (outcome === "late") cell.late++
    else if (outcome === "failed") cell.failed++
    if (call.seenAt < this.#stopAt() && outcome !== "refused" && outcome !== "left") {
      this.#dropped++
    }
  }

  ended(call: Call, now: number): void {
    const cell = this.#cell(call)
    this.#endedAt = Math.max(this.#endedAt, now)
    cell.heldMs += call.heldMs
    if (call.outcome !== "ok") cell.wastedMs += call.heldMs
  }

  result(control: Control, possible: Possible | undefined): Result {
    let from = 0
    const phases = this.#scenario.phases.map((phase, index): PhaseFigures => {
      const to = from + phase.seconds * 1000
      const recoveryMs = this.#recovery(from, to)
      from = to
      const clients = Object.fromEntries(
        this.#senders.map(({ name }, at) => [name, figures([this.#cells[index]![at]!])]),
      )
      const all = figures(this.#cells[index]!)
      return {
        name: phase.name,
        seconds: phase.seconds,
        ...all,
        goodput: all.ok / phase.seconds,
        possible: possible?.phases[index],
        clients,
        recoveryMs,
        tenants: Object.fromEntries(
          this.#senders.map(({ name }, at) => [name, this.#tenants[index]![at]!]),
        ),
      }
    })
    const total = figures(this.#cells.flat())
    const { stopAtMs } = this.#scenario
    return {
      scenario: this.#scenario,
      policy: this.#policy,
      seed: this.#seed,
      phases,
      total,
      possible,
      percent: possible === undefined || possible.total === 0
        ? undefined
        : 100 * total.ok / possible.total,
      leaked: control.held(),
      line: control.line(),
      stopMs: stopAtMs === undefined ? undefined : this.#endedAt - stopAtMs,
      dropped: stopAtMs === undefined ? 0 : this.#dropped,
    }
  }

  #stopAt(): number {
    return this.#scenario.stopAtMs ?? Infinity
  }

  #cell(call: Call): Cell {
    return this.#cells[call.phase]![call.sender.index]!
  }

  #count(bins: Int32Array, call: Call, by = 1): void {
    const bin = Math.floor(call.sentAt / binMs)
    if (bin < bins.length) bins[bin]! += by
  }

  #recovery(from: number, to: number): number {
    const first = Math.round(from / binMs)
    const end = Math.round(to / binMs)
    const window = Math.min(1000 / binMs, end - first)
    for (let start = end - window; start >= first; start--) {
      let sent = 0
      let ok = 0
      for (let bin = start; bin < start + window; bin++) {
        sent += this.#sentBins[bin]!
        ok += this.#okBins[bin]!
      }
      if (ok < 0.99 * sent) return start === end - window ? Infinity : (start + 1 - first) * binMs
    }
    return 0
  }
}

/** The figures of several cells together. */
export const figures = (cells: ReadonlyArray<Cell>): Figures => {
  const all = new Cell()
  for (const cell of cells) all.add(cell)
  const latencies = sorted(all.latencies)
  const waits = sorted(all.waits)
  const promises = sorted(all.promises)
  const { latencies: _, promises: __, waits: ___, heldMs, wastedMs, ...counts } = all
  return {
    ...counts,
    lateShare: all.admitted === 0 ? 0 : all.late / all.admitted,
    wastedShare: heldMs === 0 ? 0 : wastedMs / heldMs,
    amplification: all.operations === 0 ? 1 : all.sent / all.operations,
    latencyP50: quantile(latencies, 0.5),
    latencyP99: quantile(latencies, 0.99),
    waitP50: quantile(waits, 0.5),
    waitP99: quantile(waits, 0.99),
    promiseErrorP50: quantile(promises, 0.5),
    promiseErrorP90: quantile(promises, 0.9),
  }
}
