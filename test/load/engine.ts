/**
 * The open loop: sends when the schedule says so, whatever the answers do. Blocks its thread, so it
 * needs a process of its own.
 */
import { random } from "../support/random.ts"
import { Heap } from "./heap.ts"
import type { Control, Job, Outcome, Stream } from "./job.ts"
import { Sockets } from "./libc.ts"
import { Records } from "./records.ts"
import { requestBytes } from "./request.ts"
import { reasonOf, ResponseReader } from "./response.ts"
import { pauseBefore } from "./retry.ts"
import { type Schedule, schedule } from "./schedule.ts"

/** What happened, before it is summed up. */
export interface Raw {
  readonly schedule: Schedule
  readonly records: Records
  readonly opened: number
  readonly most: number
  readonly problem: string | null
  readonly controlsFailed: number
}

/** What a running job looks like, once a second. */
export interface Glance {
  readonly atMs: number
  readonly open: number
  readonly connections: number
}

class Connection {
  readonly fd: number
  readonly reader = new ResponseReader()
  /** The attempt that it carries; -1 while idle, -2 for a control. */
  row = -1
  served = 0
  connected = false
  request: Uint8Array<ArrayBuffer> | undefined

  constructor(fd: number) {
    this.fd = fd
  }
}

const idleRow = -1, controlRow = -2
const controlPatienceMs = 5000
const noRetry = { kind: "none" } as const

/** Runs a job to its end: until every call has been answered or given up. */
export const run = (job: Job, look?: (raw: Glance, records: Records) => void): Raw =>
  new Engine(job, look).run()

class Engine {
  readonly #job: Job
  readonly #look: ((raw: Glance, records: Records) => void) | undefined
  readonly #plan: Schedule
  readonly #sockets: Sockets
  readonly #records = new Records()
  readonly #requests: ReadonlyArray<Uint8Array<ArrayBuffer>>
  readonly #random: () => number
  readonly #connections = new Map<number, Connection>()
  readonly #byRow = new Map<number, Connection>()
  readonly #idle: Array<Connection> = []
  readonly #deadlines = new Heap()
  readonly #leaves = new Heap()
  readonly #retries = new Heap()
  readonly #attempts: Uint8Array
  readonly #chunk = new Uint8Array(65_536)
  readonly #seen = new Set<number>()
  readonly #controls: Array<{ readonly connection: Connection; readonly until: number }> = []
  readonly #limit: number
  #started = 0
  #opened = 0
  #most = 0
  #problem: string | null = null
  #controlsFailed = 0

  constructor(job: Job, look: ((raw: Glance, records: Records) => void) | undefined) {
    this.#job = job
    this.#look = look
    this.#plan = schedule(job)
    const host = job.host ?? "127.0.0.1"
    this.#sockets = new Sockets(host, job.port)
    this.#requests = job.streams.map((stream) => requestBytes(stream, host, job.port))
    this.#random = random(job.seed ^ 0x5bd1e995)
    this.#attempts = new Uint8Array(this.#plan.length)
    this.#limit = job.connections ?? 4096
  }

  run(): Raw {
    const { length, atMs } = this.#plan
    const controls = [...this.#job.controls ?? []].sort((a, b) => a.atMs - b.atMs)
    let call = 0, control = 0, second = 1000
    this.#started = performance.now()
    try {
      while (true) {
        const now = this.#now()
        while (control < controls.length && controls[control]!.atMs <= now) {
          this.#control(controls[control++]!)
        }
        while (call < length && atMs[call]! <= now) this.#attempt(call, atMs[call++]!)
        while (this.#retries.next <= now) {
          const at = this.#retries.next
          this.#attempt(this.#retries.pop(), at)
        }
        this.#giveUp(this.#leaves, "left")
        this.#giveUp(this.#deadlines, "timeout")
        this.#giveUpControls()
        if (now >= second) {
          const open = this.#byRow.size
          this.#look?.({ atMs: now, open, connections: this.#connections.size }, this.#records)
          second += 1000
        }
        const left = length - call + controls.length - control + this.#controls.length
        if (left + this.#retries.size + this.#byRow.size === 0) break
        const next = Math.min(
          call < length ? atMs[call]! : Infinity,
          control < controls.length ? controls[control]!.atMs : Infinity,
          this.#retries.next,
          this.#leaves.next,
          this.#deadlines.next,
          this.#controls[0]?.until ?? Infinity,
        )
        this.#sockets.wait(next - this.#now(), this.#ready)
      }
    } finally {
      for (const { fd } of this.#connections.values()) this.#sockets.close(fd)
      this.#sockets.dispose()
    }
    return {
      schedule: this.#plan,
      records: this.#records,
      opened: this.#opened,
      most: this.#most,
      problem: this.#problem,
      controlsFailed: this.#controlsFailed,
    }
  }

  #now(): number {
    return performance.now() - this.#started
  }

  #attempt(call: number, intended: number): void {
    const index = this.#plan.stream[call]!
    const stream = this.#job.streams[index]!
    const number = this.#attempts[call]!++
    const phase = this.#plan.phase[call]!
    const row = this.#records.add(call, number, index, phase, intended, this.#now())
    const connection = this.#idle.pop() ?? this.#dial()
    if (connection === undefined) return this.#end(row, "unsent")
    connection.row = row
    this.#byRow.set(row, connection)
    this.#deadlines.push(intended + stream.deadlineMs, row)
    if (stream.leave !== undefined && this.#random() < stream.leave.share) {
      const [least, most] = stream.leave.afterMs
      this.#leaves.push(intended + least + this.#random() * (most - least), row)
    }
    this.#send(connection, this.#requests[index]!)
  }

  #dial(port?: number): Connection | undefined {
    if (this.#connections.size >= this.#limit) return undefined
    const fd = this.#sockets.dial(port)
    if (fd < 0) return undefined
    const connection = new Connection(fd)
    this.#connections.set(fd, connection)
    this.#opened += 1
    this.#most = Math.max(this.#most, this.#connections.size)
    return connection
  }

  #send(connection: Connection, bytes: Uint8Array<ArrayBuffer>): void {
    if (!connection.connected) {
      connection.request = bytes
    } else if (!this.#sockets.send(connection.fd, bytes)) {
      this.#cut(connection)
    }
  }

  readonly #ready = (fd: number, writable: boolean): void => {
    const connection = this.#connections.get(fd)
    if (connection === undefined) return
    if (!connection.connected) {
      if (!writable) return
      connection.connected = true
      this.#sockets.established(fd)
      // Where the connect failed, so does this.
      if (!this.#sockets.send(fd, connection.request!)) this.#cut(connection, "unreachable")
      return
    }
    const length = this.#sockets.receive(fd, this.#chunk)
    if (length <= 0) {
      if (length === 0 && connection.reader.end() === "done") return this.#answered(connection)
      return this.#cut(connection)
    }
    // Bytes that nobody asked for end an idle connection; nothing is lost by it.
    if (connection.row === idleRow) return this.#close(connection)
    const state = connection.reader.feed(this.#chunk.subarray(0, length))
    if (state === "done") this.#answered(connection)
    if (state === "bad") {
      this.#problem ??= "an answer that is no HTTP/1.1 response"
      const row = connection.row
      this.#close(connection)
      if (row >= 0) this.#end(row, "wrong")
      else this.#controlsFailed += 1
    }
  }

  #answered(connection: Connection): void {
    const { row, reader } = connection
    const { status, retryAfterMs } = reader
    if (row === controlRow) {
      if (status < 200 || status > 299) this.#controlFailed(`status ${status}`)
      return this.#close(connection)
    }
    const body = status === 200 && this.#unread(row) ? "" : reader.body
    connection.served += 1
    connection.row = idleRow
    this.#byRow.delete(row)
    if (reader.keepAlive) {
      reader.reset()
      this.#idle.push(connection)
    } else this.#close(connection)
    if (status === 503 || status === 429) {
      return this.#end(row, "refused", status, reasonOf(status, body), retryAfterMs)
    }
    if (status < 200 || status > 299) return this.#end(row, "failed", status, "", retryAfterMs)
    const wrong = this.#judge(this.#streamOf(row), body)
    this.#problem ??= wrong
    if (wrong !== null) return this.#end(row, "wrong", status)
    // It came in the same wait as its deadline, and after it.
    const spent = this.#now() - this.#records.intendedMs[row]!
    this.#end(row, spent <= this.#streamOf(row).deadlineMs ? "good" : "timeout", status)
  }

  #streamOf(row: number): Stream {
    return this.#job.streams[this.#records.stream[row]!]!
  }

  #unread(row: number): boolean {
    const { includes, distinct } = this.#streamOf(row)
    return includes === undefined && distinct === undefined
  }

  #judge({ includes, distinct }: Stream, body: string): string | null {
    const missing = includes?.find((part) => !body.includes(part))
    if (missing !== undefined) return `body without ${missing}: ${body.slice(0, 300)}`
    if (distinct === undefined) return null
    const value = Number(new RegExp(`"${distinct}":(\\d+)`).exec(body)?.[1])
    if (!Number.isFinite(value)) return `body without a number "${distinct}": ${body.slice(0, 300)}`
    if (this.#seen.has(value)) return `${distinct} ${value} answered twice`
    this.#seen.add(value)
    return null
  }

  #giveUp(heap: Heap, outcome: Outcome): void {
    while (heap.next <= this.#now()) {
      const connection = this.#byRow.get(heap.pop())
      if (connection === undefined) continue // answered before
      const row = connection.row
      this.#close(connection)
      this.#end(row, outcome)
    }
  }

  /** The connection is gone: closed by the other side, or never made. */
  #cut(connection: Connection, outcome?: Outcome): void {
    const { row, served, reader } = connection
    const begun = reader.begun
    this.#close(connection)
    if (row >= 0) this.#end(row, outcome ?? (served > 0 && !begun ? "stale" : "broken"))
    if (row === controlRow) this.#controlFailed("no answer")
  }

  #close(connection: Connection): void {
    this.#sockets.close(connection.fd)
    this.#connections.delete(connection.fd)
    if (connection.row >= 0) this.#byRow.delete(connection.row)
    if (connection.row === idleRow) {
      const at = this.#idle.indexOf(connection)
      if (at >= 0) this.#idle.splice(at, 1)
    }
    const at = this.#controls.findIndex((control) => control.connection === connection)
    if (at >= 0) this.#controls.splice(at, 1)
  }

  #end(row: number, outcome: Outcome, status = 0, reason = "", retryAfterMs = NaN): void {
    const now = this.#now()
    if (!this.#records.end(row, outcome, now, status, reason)) return
    const call = this.#records.call[row]!
    const retry = this.#streamOf(row).retry ?? noRetry
    const attempt = this.#records.attempt[row]!
    const pause = pauseBefore(retry, attempt, outcome, retryAfterMs, this.#random)
    if (pause !== undefined) this.#retries.push(now + pause, call)
  }

  #control({ path, port = this.#job.port }: Control): void {
    const connection = this.#dial(port)
    if (connection === undefined) return this.#controlFailed(`${path}: no connection left`)
    connection.row = controlRow
    this.#controls.push({ connection, until: this.#now() + controlPatienceMs })
    this.#send(connection, requestBytes({ method: "POST", path }, "127.0.0.1", port))
  }

  #giveUpControls(): void {
    while (this.#controls.length > 0 && this.#controls[0]!.until <= this.#now()) {
      this.#cut(this.#controls[0]!.connection)
    }
  }

  #controlFailed(why: string): void {
    this.#controlsFailed += 1
    this.#problem ??= `a control failed: ${why}`
  }
}
