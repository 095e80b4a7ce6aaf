import { retryAfter, retryAfterMs } from "../../src/edge/jitter.ts"
import { random } from "../support/random.ts"
import { Call, type Sender } from "./call.ts"
import type { Control, Ended, No, Policy, World } from "./control.ts"
import { arrivals, draw, workOf } from "./draw.ts"
import { Ledger, type Result } from "./ledger.ts"
import { Ceiling } from "./oracle.ts"
import { loadsOf, type Pool, type Scenario } from "./scenario.ts"
import { sendersOf, Things } from "./senders.ts"
import { Speed } from "./speed.ts"
import { Timeline } from "./timeline.ts"

/** What a run needs besides its scenario and its policy. */
export interface Options {
  /** Default 1. The same seed gives the same run. */
  readonly seed?: number
  /**
   * Keeps every latency and wait, for percentiles. Default true; without them a run takes no more memory
   * the longer it is.
   */
  readonly samples?: boolean
  /** Told now and then, so that somebody can look at the process. */
  readonly onSecond?: (second: number) => void
  /** Told what each attempt has come to, as its client sees it. */
  readonly onAnswer?: (call: Call, now: number) => void
}

/** Runs a scenario under a policy. */
export const simulate = (scenario: Scenario, policy: Policy, options: Options = {}): Result =>
  new Simulation(scenario, policy, options).run()

class Simulation implements World {
  readonly scenario: Scenario
  readonly random: () => number
  readonly #seed: number
  readonly #time = new Timeline()
  readonly #policy: Policy
  readonly #senders: ReadonlyArray<Sender>
  readonly #things: Things
  readonly #control: Control
  readonly #ledger: Ledger
  readonly #ceiling: Ceiling
  readonly #steady = Speed.steady
  readonly #main: Speed
  readonly #onAnswer: ((call: Call, now: number) => void) | undefined
  /** The event loop of the process is busy until then. */
  #loopFree = 0
  #operations = 0
  /** The last one that came to wait and still does. */
  #lastInLine: Call | undefined = undefined

  constructor(scenario: Scenario, policy: Policy, options: Options) {
    this.scenario = scenario
    this.#policy = policy
    this.#seed = options.seed ?? 1
    this.#onAnswer = options.onAnswer
    this.random = random(this.#seed ^ 0x5bd1e995)
    this.#senders = sendersOf(scenario)
    this.#things = new Things(scenario)
    this.#main = Speed.of(scenario)
    this.#ledger = new Ledger(
      scenario,
      policy.name,
      this.#seed,
      this.#senders,
      options.samples ?? true,
    )
    this.#ceiling = new Ceiling(scenario, this.#senders)
    this.#control = policy.make(this)
    this.#plan(options.onSecond)
  }

  run(): Result {
    this.#time.run()
    return this.#ledger.result(this.#control, this.#ceiling.result())
  }

  now(): number {
    return this.#time.now
  }

  timer(at: number, task: (now: number) => void): void {
    this.#onLoop(at, task)
  }

  turn(task: () => void): void {
    this.#time.plan(Math.max(this.#time.now, this.#loopFree), {
      fire: () => this.#onLoop(this.#time.now, task),
    })
  }

  granted(call: Call): void {
    const now = this.#time.now
    if (this.#lastInLine === call) this.#lastInLine = undefined
    call.state = "running"
    call.startedAt = now
    call.waitedMs += now - call.waitSince
    this.#ledger.waited(call, now)
    const thing = call.sender.things[call.step]!
    this.#things.started(thing)
    const speed = thing === "main" ? this.#main : this.#steady
    const fault = thing === "main" ? this.#main.faultAt(now) : undefined
    const turn = ++call.turn
    call.tries++
    const fails = fault === "refuse" ||
      (typeof fault === "object" && this.#luckOf(call) < fault.errors)
    const end = fault === "refuse" ? now + 1 : speed.end(now, call.works[call.step]!)
    if (end === Infinity) return
    this.#onLoop(end, (now) => {
      if (call.turn === turn && call.state === "running") this.#worked(call, now, fails)
    })
  }

  failed(call: Call): void {
    this.#things.waits(call.sender.things[call.step]!, -1)
    call.waitedMs += this.#time.now - call.waitSince
    this.#ledger.waited(call, this.#time.now)
    this.#over(call, this.#time.now, "failed")
  }

  stopped(call: Call): void {
    if (call.state !== "running") return
    this.#takeBack(call, this.#time.now)
    this.#waits(call, this.#time.now)
  }

  turnedAway(call: Call, no: No): void {
    if (call.state === "waiting") {
      this.#things.waits(call.sender.things[call.step]!, -1)
      call.waitedMs += this.#time.now - call.waitSince
    }
    this.#ledger.waited(call, this.#time.now)
    this.#over(call, this.#time.now, "refused", no)
  }

  /** Each load sends for itself; work is planned when it is sent. */
  #plan(onSecond: Options["onSecond"]): void {
    let from = 0
    this.scenario.phases.forEach((phase, index) => {
      const to = from + phase.seconds * 1000
      for (const [name, load] of Object.entries(loadsOf(phase))) {
        const sender = this.#senders.find((it) => it.name === name)!
        const seed = this.#seed * 7919 + index * 101 + sender.index
        const moments = arrivals(load, this.#poolOf(sender), from, to, seed)
        const next = () => {
          const { done, value } = moments.next()
          if (done !== true) this.#time.plan(value, { fire })
        }
        const fire = (now: number) => {
          this.#send(sender, this.#operations++, 1, index, now)
          next()
        }
        next()
      }
      from = to
    })
    const { stopAtMs } = this.scenario
    if (stopAtMs !== undefined) this.#onLoop(stopAtMs, (now) => this.#control.drain(now))
    for (let second = 1; onSecond !== undefined && second * 1000 <= from; second++) {
      this.#time.plan(second * 1000, { fire: () => onSecond(second) })
    }
  }

  #poolOf(sender: Sender): Pool {
    const name = sender.things[0]
    return name === undefined || name === "main" ? this.scenario.pool : this.#things.get(name)
  }

  #send(sender: Sender, operation: number, attempt: number, phase: number, now: number): void {
    const at = (which: number) => draw(this.#seed, operation, attempt, which)
    const works = sender.things.map((thing, step) =>
      workOf(this.#things.workOf(sender, thing), at(3 + 2 * step), at(4 + 2 * step))
    )
    const call = new Call(
      sender,
      operation,
      attempt,
      phase,
      now,
      Math.floor(draw(this.#seed, operation, 0, 0) * (sender.tenants ?? 1)),
      works,
      at(0),
      (this.scenario.bodyMs ?? 0) * at(1),
    )
    const leaves = draw(this.#seed, operation, 0, 1)
    if (leaves < (sender.leaves ?? 0)) call.leavesAt = now + Math.ceil(sender.deadlineMs * at(2))
    this.#ledger.sent(call, !this.#stopped(now) && this.#ceiling.sent(call))
    this.#onLoop(now, (now) => this.#arrives(call, now))
  }

  #stopped(now: number): boolean {
    return now >= (this.scenario.stopAtMs ?? Infinity)
  }

  #arrives(call: Call, now: number): void {
    call.seenAt = now
    const no = this.#control.enter(call, now)
    if (no !== undefined) {
      this.#ledger.refused(call, now, no, this.#couldHave(call, now))
      if (no.reason !== "ShuttingDown") this.#promise(now, no)
      call.state = "ended"
      this.#answer(call, now, "refused", no)
      return
    }
    call.state = "admitted"
    this.#ledger.admitted(call)
    if (call.sender.things.length > 0) this.#things.comes(call.sender.things[0]!, 1)
    // The client leaves when its time is up, whatever the process is doing; that it has, the process
    // learns when it looks.
    const leaves = Math.min(call.deadline, call.leavesAt)
    this.#time.planLast(leaves, {
      fire: (now) => {
        if (call.outcome !== undefined) return
        call.gone = true
        this.#answer(call, now, call.leavesAt < call.deadline ? "left" : "late")
        if (this.#policy.cancels) this.#onLoop(now, (now) => this.#cancel(call, now))
      },
    })
    const blocks = call.sender.routeData.blocksLoopMs ?? 0
    const first = () => {
      if (blocks > 0) this.#loopFree = this.#time.now + blocks
      this.#next(call, this.#time.now)
    }
    if (call.bodyMs === 0 && blocks === 0) first()
    else this.#onLoop(now + call.bodyMs, () => call.state === "admitted" && first())
  }

  /** Goes on to the next thing that it needs, or is done. */
  #next(call: Call, now: number): void {
    const thing = call.sender.things[call.step]
    if (thing === undefined) return this.#over(call, now, "ok")
    this.#things.comes(thing, -1)
    this.#waits(call, now)
    this.#lastInLine = call
    this.#control.acquire(call, thing, now)
  }

  #waits(call: Call, now: number): void {
    call.state = "waiting"
    call.waitSince = now
    this.#things.waits(call.sender.things[call.step]!, 1)
  }

  #worked(call: Call, now: number, fails: boolean): void {
    this.#giveBack(call, now, fails ? "failed" : "completed")
    if (fails) {
      const again = this.#control.keeps?.(call, call.sender.things[call.step]!) === true
      return again ? this.#waits(call, now) : this.#over(call, now, "failed")
    }
    call.step++
    call.tries = 0
    const thing = call.sender.things[call.step]
    if (thing !== undefined) this.#things.comes(thing, 1)
    call.state = "admitted"
    this.#next(call, now)
  }

  #giveBack(call: Call, now: number, ended: Ended): void {
    this.#takeBack(call, now)
    this.#control.release(call, call.sender.things[call.step]!, now, ended)
  }

  #takeBack(call: Call, now: number): void {
    call.turn++
    call.state = "admitted"
    call.heldMs += now - call.startedAt
    this.#things.stopped(call.sender.things[call.step]!)
  }

  /** Work that is tried again may have better luck. */
  #luckOf(call: Call): number {
    const { attempt, luck, operation, tries } = call
    return tries <= 1 ? luck : draw(this.#seed, operation, attempt + 1000 * tries, 0)
  }

  #cancel(call: Call, now: number): void {
    const thing = call.sender.things[call.step]
    switch (call.state) {
      case "ended":
        return
      case "waiting":
        this.#things.waits(thing!, -1)
        call.waitedMs += now - call.waitSince
        this.#control.abandon(call, thing!, now)
        break
      case "running":
        this.#giveBack(call, now, "cancelled")
        break
      case "admitted":
        if (thing !== undefined) this.#things.comes(thing, -1)
    }
    this.#ledger.waited(call, now)
    this.#over(call, now, call.outcome!)
  }

  /** The process is done with it. */
  #over(call: Call, now: number, outcome: "ok" | "refused" | "failed" | "late" | "left", no?: No) {
    if (this.#lastInLine === call) this.#lastInLine = undefined
    call.state = "ended"
    call.turn++
    const ended = call.gone && this.#policy.cancels
      ? "cancelled"
      : outcome === "ok"
      ? "completed"
      : outcome === "refused"
      ? "refused"
      : "failed"
    this.#control.leave(call, now, ended)
    // Let in and refused after all: the same to the client as an answer that comes too late.
    if (call.outcome === undefined) {
      this.#answer(call, now, outcome === "refused" ? "late" : outcome, no)
    }
    this.#ledger.ended(call, now)
  }

  /** What the client gets, or that it gets nothing; then it may try again. */
  #answer(call: Call, now: number, outcome: NonNullable<Call["outcome"]>, no?: No): void {
    call.outcome = outcome
    this.#ledger.answered(call, now)
    this.#onAnswer?.(call, now)
    const { retry } = call.sender
    if (outcome === "ok" || outcome === "left" || retry === undefined) return
    if (call.attempt >= retry.attempts) return
    const u = draw(this.#seed, call.operation, call.attempt, 7)
    const pause = retry.wait === "fixed" ? retry.baseMs : u * retry.baseMs * 2 ** call.attempt
    const told = retry.honoursRetryAfter === undefined || no === undefined
      ? 0
      : this.#told(no, retry.honoursRetryAfter)
    this.#time.plan(now + Math.max(pause, told), {
      fire: (now) =>
        this.#send(call.sender, call.operation, call.attempt + 1, this.#phaseAt(now), now),
    })
  }

  /** What the refusal says in its header, or in its body. */
  #told({ backlogMs = 0, ...no }: No, unit: "seconds" | "milliseconds"): number {
    const ms = no.retryAfterMs + backlogMs
    return unit === "seconds"
      ? 1000 * Number(retryAfter(ms, this.random()))
      : retryAfterMs(ms, this.random())
  }

  #phaseAt(now: number): number {
    let end = 0
    const { phases } = this.scenario
    const at = phases.findIndex(({ seconds }) => now < (end += seconds * 1000))
    return at < 0 ? phases.length - 1 : at
  }

  /** Whether a slot was free for it, with nobody before it, and its work would have ended in time. */
  #couldHave(call: Call, now: number): boolean {
    let at = now + call.bodyMs
    for (let step = 0; step < call.works.length; step++) {
      const thing = call.sender.things[step]!
      if (!this.#things.idle(thing)) return false
      at = (thing === "main" ? this.#main : this.#steady).end(at, call.works[step]!)
      if (thing === "main" && this.#main.faultAt(now) !== undefined) return false
    }
    return at <= call.deadline
  }

  /** The refusal says after how long it may come again: compared with the time the line then takes. */
  #promise(now: number, no: No): void {
    const last = this.#lastInLine
    if (last !== undefined && no.retryAfterMs > 0) {
      ;(last.watched ??= []).push(now, no.retryAfterMs)
    }
  }

  /** Something that the process does: later, if its event loop is busy at that time. */
  #onLoop(at: number, task: (now: number) => void): void {
    const what = {
      fire: (now: number) => {
        if (now < this.#loopFree) this.#time.plan(this.#loopFree, what)
        else task(now)
      },
    }
    if (at === this.#time.now && this.#time.now >= this.#loopFree) task(at)
    else this.#time.plan(at, what)
  }
}
