/**
 * One row for each attempt, in typed columns that grow.
 */
import { type Outcome, outcomes } from "./job.ts"

const pending = 255

export class Records {
  length = 0
  /** The number of the call that it belongs to. */
  call = new Uint32Array(4096)
  attempt = new Uint8Array(4096)
  stream = new Uint16Array(4096)
  phase = new Uint16Array(4096)
  /** When it was to be sent, when the generator got to it, when it ended: ms since the start. */
  intendedMs = new Float64Array(4096)
  sentMs = new Float64Array(4096)
  endedMs = new Float64Array(4096)
  outcome = new Uint8Array(4096)
  status = new Uint16Array(4096)
  /** Index into `reasons`. */
  reason = new Uint16Array(4096)
  readonly reasons: Array<string> = ["", "other"]
  readonly #byReason = new Map<string, number>([["", 0], ["other", 1]])

  add(call: number, attempt: number, stream: number, phase: number, at: number, now: number) {
    if (this.length === this.call.length) this.#grow()
    const row = this.length++
    this.call[row] = call
    this.attempt[row] = attempt
    this.stream[row] = stream
    this.phase[row] = phase
    this.intendedMs[row] = at
    this.sentMs[row] = now
    this.outcome[row] = pending
    return row
  }

  /** Ends a row; false if it had ended. */
  end(row: number, outcome: Outcome, now: number, status = 0, reason = ""): boolean {
    if (this.outcome[row] !== pending) return false
    this.outcome[row] = outcomes.indexOf(outcome)
    this.endedMs[row] = now
    this.status[row] = status
    this.reason[row] = this.#reasonIndex(reason)
    return true
  }

  isOpen(row: number): boolean {
    return this.outcome[row] === pending
  }

  outcomeOf(row: number): Outcome {
    return outcomes[this.outcome[row]!]!
  }

  /** As CSV, with a header. */
  *csv(streams: ReadonlyArray<string>): Generator<string> {
    yield "call,attempt,stream,phase,intended_ms,sent_ms,ended_ms,outcome,status,reason\n"
    for (let row = 0; row < this.length; row++) {
      yield [
        this.call[row],
        this.attempt[row],
        quote(streams[this.stream[row]!]!),
        this.phase[row],
        this.intendedMs[row]!.toFixed(3),
        this.sentMs[row]!.toFixed(3),
        this.endedMs[row]!.toFixed(3),
        this.outcomeOf(row),
        this.status[row],
        quote(this.reasons[this.reason[row]!]!),
      ].join(",") + "\n"
    }
  }

  #reasonIndex(reason: string): number {
    const known = this.#byReason.get(reason)
    if (known !== undefined) return known
    // A server that invents a reason for each answer must not fill the table.
    if (this.reasons.length >= 64) return 1
    this.#byReason.set(reason, this.reasons.length)
    return this.reasons.push(reason) - 1
  }

  #grow(): void {
    const size = this.call.length * 2
    const grown = <A extends { set: (from: A) => void }>(from: A, to: A): A => {
      to.set(from)
      return to
    }
    this.call = grown(this.call, new Uint32Array(size))
    this.attempt = grown(this.attempt, new Uint8Array(size))
    this.stream = grown(this.stream, new Uint16Array(size))
    this.phase = grown(this.phase, new Uint16Array(size))
    this.intendedMs = grown(this.intendedMs, new Float64Array(size))
    this.sentMs = grown(this.sentMs, new Float64Array(size))
    this.endedMs = grown(this.endedMs, new Float64Array(size))
    this.outcome = grown(this.outcome, new Uint8Array(size))
    this.status = grown(this.status, new Uint16Array(size))
    this.reason = grown(this.reason, new Uint16Array(size))
  }
}

const quote = (text: string): string =>
  /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
