import { Cause, Exit } from "effect"
import type { DeadLetter } from "../../../src/actor/DeadLetters.ts"
import { type Outcome, outcomes } from "../../../src/actor/Mailbox.ts"
import type { KindSpec, Send, Tag } from "./program.ts"

/** What a handler dies with to put its message aside. */
const stashSignal = Symbol.for("weir/actor/stash")

/** How a run of a handler ended. */
export type Ending = "value" | "typed" | "die" | "stash" | "interrupted"

export interface Run {
  readonly sent: Sent
  readonly life: Life
  readonly order: number
  readonly at: number
  exit: Ending | undefined
  /** A finalizer of its scope threw. */
  threw: boolean
  /** Its scope is closed. */
  over: boolean
  /** The crash of its actor ended it. */
  cutShort: boolean
  overOrder: number
}

/** One message, as the test saw it: its sender's side, its handler's, and the dead letters. */
export interface Sent {
  readonly id: number
  readonly sender: string
  readonly path: string
  /** The kind in whose totals it counts. */
  readonly kind: string
  readonly how: Send["how"]
  readonly tag: Tag
  readonly send: Send
  readonly order: number
  readonly at: number
  /** It must not start at or after this. */
  readonly expires: number
  /** How late its answer may be: the grace of those that clean up first. */
  readonly patience: number
  /** There was no actor and no kind to count it. */
  readonly uncounted: boolean
  /** A mailbox has seen it. */
  offered: boolean
  /** What the sender got. */
  result: string | undefined
  resolvedOrder: number
  readonly runs: Array<Run>
  readonly letters: Array<DeadLetter["reason"]>
}

/** One incarnation, from the beginning of its init until its scope has closed. */
export interface Life {
  readonly path: string
  readonly spec: KindSpec
  readonly number: number
  ready: boolean
  over: boolean
}

export type State = Outcome | "queued" | "running" | "uncounted"

export type Totals = Record<Outcome | "sent" | "queued" | "running", number>

export const noTotals = (): Totals => ({
  sent: 0,
  queued: 0,
  running: 0,
  ...Object.fromEntries(outcomes.map((outcome) => [outcome, 0])) as Record<Outcome, number>,
})

/** The book that the test keeps for itself. */
export class Ledger {
  readonly all: Array<Sent> = []
  readonly lives: Array<Life> = []
  readonly faults: Array<string> = []
  /** Not over when they were last looked at, and how many have been looked at. */
  private pending: Array<Sent> = []
  private seen = 0
  private readonly settled = new Map<string, Totals>()
  readonly resources: Array<{ readonly where: string; released: number }> = []
  private readonly open = new Map<string, Set<Run>>()
  private readonly alive = new Map<string, Set<Life>>()
  private readonly controls = new Map<string, number>()
  private order = 0
  private readonly now: () => number
  /** Cleanups that overran: what they left behind may stand beside its successor. */
  private readonly abandoned: () => number

  constructor(now: () => number, abandoned: () => number) {
    this.now = now
    this.abandoned = abandoned
  }

  fault(what: string): void {
    if (this.faults.length < 20) this.faults.push(`at ${this.now()} ms: ${what}`)
  }

  sent(
    sender: string,
    path: string,
    kind: string,
    send: Send,
    patience: number,
    uncounted: boolean,
  ): Sent {
    const at = this.now()
    const sent: Sent = {
      id: this.all.length,
      sender,
      path,
      kind,
      how: send.how,
      tag: send.tag,
      send,
      order: ++this.order,
      at,
      expires: send.within === undefined ? Infinity : at + send.within,
      patience,
      uncounted,
      offered: false,
      result: undefined,
      resolvedOrder: Infinity,
      runs: [],
      letters: [],
    }
    this.all.push(sent)
    return sent
  }

  resolved(sent: Sent, exit: Exit.Exit<unknown, unknown>): void {
    if (sent.result !== undefined) this.fault(`#${sent.id} was answered twice`)
    sent.result = resultOf(exit)
    sent.resolvedOrder = ++this.order
    if (sent.result === "Stopped") this.checkStopped(sent, exit)
    if (sent.how === "ask" && sent.result === "value") {
      if (Exit.isSuccess(exit) && exit.value !== sent.id) {
        this.fault(`#${sent.id} got the answer of ${String(exit.value)}`)
      }
    }
  }

  /** A `Stopped` says whether the handler had begun, which is when a caller must not try again. */
  private checkStopped(sent: Sent, exit: Exit.Exit<unknown, unknown>): void {
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    const began = sent.runs.some((run) => endingOf(run) !== "stash")
    if ((error as { started: boolean }).started !== began) {
      this.fault(`#${sent.id} is told the wrong thing: its handler had ${began ? "" : "not "}begun`)
    }
  }

  letter(letter: DeadLetter): void {
    const { payload } = letter
    const id = typeof payload === "number" ? payload : (payload as { mail: Sent }).mail.id
    const sent = this.all[id]!
    sent.letters.push(letter.reason)
    if (sent.path !== letter.to) {
      this.fault(`the letter of #${id} says that it was for ${letter.to}`)
    }
    if (sent.how !== letter.how || sent.tag !== letter.tag) {
      this.fault(`the letter of #${id} says ${letter.how} ${letter.tag}`)
    }
  }

  born(path: string, number: number, spec: KindSpec): Life {
    const life: Life = { path, number, spec, ready: false, over: false }
    const alive = at(this.alive, path, () => new Set<Life>())
    if (alive.size > 0 && this.abandoned() === 0) {
      this.fault(`${path}: life ${number} began while ${[...alive].map((l) => l.number)} was there`)
    }
    alive.add(life)
    this.lives.push(life)
    return life
  }

  buried(life: Life): void {
    if (life.over) this.fault(`${life.path}: life ${life.number} was closed twice`)
    life.over = true
    this.alive.get(life.path)!.delete(life)
    if (this.abandoned() > 0) return
    for (const run of this.open.get(life.path) ?? []) {
      if (run.life === life) this.fault(`#${run.sent.id} ran on after its life was closed`)
    }
    for (const [path, lives] of this.alive) {
      if (path.startsWith(`${life.path}/`) && this.parentOf.get(path) === life && lives.size > 0) {
        this.fault(`${path} outlived its parent`)
      }
    }
  }

  /** The life that spawned the child of that path last. */
  readonly parentOf = new Map<string, Life>()

  started(sent: Sent, life: Life): Run {
    const run: Run = {
      sent,
      life,
      order: ++this.order,
      at: this.now(),
      exit: undefined,
      threw: false,
      over: false,
      cutShort: false,
      overOrder: Infinity,
    }
    const { id } = sent
    if (life.path !== sent.path) this.fault(`#${id} for ${sent.path} ran in ${life.path}`)
    if (!life.ready) this.fault(`#${id} ran before the init of ${life.path} was done`)
    if (life.over) this.fault(`#${id} ran in life ${life.number} of ${life.path}, which is closed`)
    if (run.at >= sent.expires) this.fault(`#${id} ran though it had expired`)
    const state = this.stateOf(sent)
    if (state !== "queued") this.fault(`#${id} ran though it was ${state}`)
    const open = at(this.open, sent.path, () => new Set<Run>())
    if (sent.tag !== "Again" && this.abandoned() === 0) {
      let others = this.controls.get(sent.path) ?? 0
      for (const other of open) if (other.sent.tag !== "Again") others++
      if (others >= life.spec.concurrency) {
        this.fault(`#${id} is one too many: ${others} run in ${sent.path} already`)
      }
    }
    open.add(run)
    sent.runs.push(run)
    const deaths = sent.runs.filter((run) => run.over && endingOf(run) === "die").length
    if (deaths > (sent.tag === "Retry" ? 2 : 0)) this.fault(`#${id} was tried again`)
    return run
  }

  exited(run: Run, exit: Exit.Exit<unknown, unknown>): void {
    run.exit = endOf(exit)
  }

  /** `cancelled`: somebody wanted it to end, so it cannot be put aside any more. */
  over(run: Run, cancelled: boolean, cutShort = false): void {
    if (run.over) this.fault(`the run of #${run.sent.id} was closed twice`)
    if (run.exit === "stash" && cancelled) run.exit = "interrupted"
    run.over = true
    run.cutShort = cutShort
    run.overOrder = ++this.order
    this.open.get(run.sent.path)!.delete(run)
  }

  control(path: string, concurrency: number): () => void {
    const others = this.controls.get(path) ?? 0
    let running = others
    for (const run of this.open.get(path) ?? []) if (run.sent.tag !== "Again") running++
    if (running >= concurrency && this.abandoned() === 0) {
      this.fault(`${path}: a timer or a watch ran beside ${running} others`)
    }
    this.controls.set(path, others + 1)
    return () => {
      this.controls.set(path, this.controls.get(path)! - 1)
    }
  }

  get running(): number {
    let count = 0
    for (const open of this.open.values()) count += open.size
    return count
  }

  /** In which state a message must be, by what its sender, its handler and the letters say. */
  stateOf(sent: Sent): State {
    const { result } = sent
    if (sent.uncounted || result === "AskCycle") return "uncounted"
    if (result === "interrupted" && !sent.offered) return "uncounted"
    const last = sent.runs.at(-1)
    if (last !== undefined && !last.over) return "running"
    const letter = sent.letters.find((reason) => reason !== "late-reply")
    if (last !== undefined) {
      switch (endingOf(last)) {
        case "value":
          return "handled"
        case "typed":
          return sent.how === "ask" ? "handled" : "failed"
        case "interrupted":
          if (letter === "failed") return "failed"
          if (sent.tag === "Retry" && last.cutShort && sent.runs.length < 3) break
          return "cancelled"
        case "die":
          if (letter === "failed") return "failed"
      }
    }
    // It is in the queue, again in it, or it ended there.
    if (letter !== undefined) return letter as Outcome
    if (result === "MailboxFull Dropped") return "dropped"
    if (result?.startsWith("MailboxFull") || result === "Stopped") return "rejected"
    // Who left while it ran could not take it back.
    const taken = sent.how !== "tell" &&
      (last === undefined || last.overOrder < sent.resolvedOrder)
    return result === "interrupted" && taken ? "cancelled" : "queued"
  }

  /** The counters as they must be now; with `all`, nothing that was over before is taken on trust. */
  totals(all: boolean): Map<string, Totals> {
    const totals = new Map<string, Totals>()
    const add = (sums: Map<string, Totals>, sent: Sent, state: State) => {
      if (state === "uncounted") return
      const sum = at(sums, sent.kind, noTotals)
      sum.sent++
      sum[state]++
    }
    if (all) {
      for (const sent of this.all) add(totals, sent, this.stateOf(sent))
      return totals
    }
    const pending: Array<Sent> = []
    for (; this.seen < this.all.length; this.seen++) this.pending.push(this.all[this.seen]!)
    for (const sent of this.pending) {
      const state = this.stateOf(sent)
      if (sent.result === undefined || state === "queued" || state === "running") {
        pending.push(sent)
        add(totals, sent, state)
      } else add(this.settled, sent, state)
    }
    this.pending = pending
    for (const [kind, sum] of this.settled) {
      const total = at(totals, kind, noTotals)
      for (const name of Object.keys(sum) as ReadonlyArray<keyof Totals>) total[name] += sum[name]
    }
    return totals
  }

  /** What must be so at any quiescent moment. */
  check(): void {
    for (const sent of this.pending) {
      if (sent.result !== undefined || sent.how !== "ask") continue
      const limit = Math.min(sent.expires, sent.at + 5000) + sent.patience
      if (this.now() > limit) {
        this.fault(`#${sent.id} has waited for its answer since ${sent.at} ms`)
      }
    }
  }

  /** What must be so when all is over. */
  checkEnd(): void {
    for (const sent of this.all) this.checkEnded(sent)
    for (const life of this.lives) {
      if (!life.over) this.fault(`${life.path}: life ${life.number} was never closed`)
    }
    for (const { released, where } of this.resources) {
      if (released !== 1) this.fault(`a resource of ${where} was released ${released} times`)
    }
    this.checkOrder()
  }

  private checkEnded(sent: Sent): void {
    const { how, id, letters, result, runs } = sent
    const state = this.stateOf(sent)
    if (state === "queued" || state === "running") this.fault(`#${id} is still ${state}`)
    if (result === undefined) this.fault(`the sender of #${id} still waits`)
    const final = runs.filter((run) => endingOf(run) !== "stash")
    const tries = sent.tag === "Retry" ? 3 : 1
    if (final.length > tries) this.fault(`#${id} ran ${final.length} times`)
    for (const run of final.slice(0, -1)) {
      // Of several at once, one crash ends all, and each is tried again.
      const ends = sent.tag === "Retry" ? ["die", "interrupted"] : ["die"]
      if (!ends.includes(endingOf(run))) this.fault(`#${id} ran again after ${endingOf(run)}`)
    }
    const allowed = allowedResults(sent, state, runs.at(-1))
    if (result !== undefined && !allowed.includes(result)) {
      this.fault(`#${id}, a ${how} that was ${state}, got ${result} and not ${allowed}`)
    }
    const expected = lettersOf(sent, state)
    if (!expected.includes(letters.join())) {
      this.fault(`#${id}, a ${how} that was ${state} and got ${result}: letters [${letters}]`)
    }
  }

  /** First come, first served, for each sender and priority. */
  private checkOrder(): void {
    const latest = new Map<string, Sent>()
    for (const sent of this.all) {
      const line = `${sent.sender} ${sent.path} ${sent.tag}`
      const start = sent.runs[0]?.order
      if (start === undefined) continue
      const before = latest.get(line)
      if (before !== undefined && before.resolvedOrder < sent.order) {
        if (before.runs[0]!.order > start) this.fault(`#${sent.id} overtook #${before.id}`)
      }
      // Only those that did not wait for room are in line when their sender goes on.
      if (sent.how !== "ask") latest.set(line, sent)
    }
  }

  print(): string {
    return this.all.map((sent) => {
      const runs = sent.runs.map((run) => `${run.at} ms ${run.life.number} ${endingOf(run)}`)
      return `#${sent.id} ${sent.sender} ${sent.how} ${sent.tag} -> ${sent.path} at ${sent.at} ms: ` +
        `${this.stateOf(sent)}, got ${sent.result}, runs [${runs}], letters [${sent.letters}]`
    }).join("\n")
  }
}

const lettersOf = (sent: Sent, state: State): ReadonlyArray<string> => {
  const { how, result } = sent
  switch (state) {
    case "failed":
    case "expired":
    case "dropped":
    case "discarded":
      return [state]
    case "rejected":
      if (how !== "ask") return ["rejected"]
      // Put aside in vain, when nobody waited any more who could be told.
      return result?.startsWith("MailboxFull") || result === "Stopped" ? [""] : ["rejected"]
    case "handled":
      if (how !== "ask" || result === "value" || result === "Oops") return [""]
      // It may have been interrupted while its answer was on the way.
      return result === "interrupted" ? ["", "late-reply"] : ["late-reply"]
    default:
      return [""]
  }
}

const allowedResults = (
  { how, send, tag }: Sent,
  state: State,
  last: Run | undefined,
): ReadonlyArray<string> => {
  if (state === "uncounted") return ["AskCycle", "Stopped", "interrupted"]
  if (how === "tell" || how === "offer") {
    if (state === "rejected") {
      // What is put aside in vain was accepted long ago.
      return last === undefined
        ? ["interrupted", ...["MailboxFull", "Stopped"].flatMap(reasons)]
        : ["value", "interrupted"]
    }
    if (state === "expired" && how === "offer" && last === undefined) {
      return ["value", "interrupted", "MailboxFull Full"]
    }
    // Whoever tells is on the stack when its message arrives, and may be cancelled by what that
    // does; whoever waited for room, in the turn in which there was some.
    return ["value", "interrupted"]
  }
  const late = ["interrupted", "AskTimeout running", "Stopped", "ActorFailed"]
  switch (state) {
    case "handled":
      return [last?.exit === "typed" ? "Oops" : "value", ...late]
    case "failed":
      return late
    case "rejected":
      return ["Stopped", ...reasons("MailboxFull"), ...(again(tag, send) ? late : [])]
    case "expired":
      return ["AskTimeout queued", "interrupted", ...(again(tag, send) ? late : [])]
    case "cancelled":
      return last === undefined ? ["interrupted"] : late
    case "dropped":
      return ["MailboxFull Dropped", "interrupted", ...(again(tag, send) ? late : [])]
    case "discarded":
      return ["Stopped", "interrupted", ...(again(tag, send) ? late : [])]
    default:
      return []
  }
}

/** Its asker may have left while it ran, and then it was put aside or tried again. */
const again = (tag: Tag, send: Send): boolean => tag === "Retry" || tag === "Firm" || !!send.detach

const reasons = (name: string): ReadonlyArray<string> =>
  name === "MailboxFull"
    ? ["Full", "Infeasible", "Offerers", "Residents", "Stash", "OwnMailbox"].map((reason) =>
      `MailboxFull ${reason}`
    )
    : [name]

const endingOf = (run: Run): Ending | "open" =>
  !run.over ? "open" : run.threw ? "die" : run.exit ?? "interrupted"

const endOf = (exit: Exit.Exit<unknown, unknown>): Ending => {
  if (Exit.isSuccess(exit)) return "value"
  const dies = exit.cause.reasons.filter(Cause.isDieReason)
  if (dies.some(({ defect }) => defect !== stashSignal)) return "die"
  if (dies.length > 0) return "stash"
  return Cause.hasInterrupts(exit.cause) ? "interrupted" : "typed"
}

const resultOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "value"
  const { cause } = exit
  if (Cause.hasDies(cause)) return `defect ${String(Cause.squash(cause))}`
  if (Cause.hasInterrupts(cause)) return "interrupted"
  const error = Cause.squash(cause) as { _tag: string; reason?: string; state?: string }
  if (error._tag === "MailboxFull") return `MailboxFull ${error.reason}`
  return error._tag === "AskTimeout" ? `AskTimeout ${error.state}` : error._tag
}

const at = <K, V>(map: Map<K, V>, key: K, make: () => V): V => {
  let value = map.get(key)
  if (value === undefined) map.set(key, value = make())
  return value
}
