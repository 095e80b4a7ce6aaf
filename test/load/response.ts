/**
 * Reads one HTTP/1.1 response as its bytes arrive.
 */

const latin1 = new TextDecoder("latin1") // one character per byte
const utf8 = new TextDecoder()
const maxBytes = 4 * 1024 * 1024

type State = "head" | "length" | "size" | "data" | "trailer" | "rest" | "done" | "bad"

/** One response; `reset` before the next one on the same connection. */
export class ResponseReader {
  status = 0
  /** Whether the connection can carry another request afterwards. */
  keepAlive = true
  /** From `Retry-After` in seconds; NaN when there is none that is a number. */
  retryAfterMs = NaN
  #state: State = "head"
  #text = ""
  #at = 0
  #need = 0
  #body = ""

  reset(): void {
    this.status = 0
    this.keepAlive = true
    this.retryAfterMs = NaN
    this.#state = "head"
    this.#text = ""
    this.#at = 0
    this.#need = 0
    this.#body = ""
  }

  /** Whether any byte has come. */
  get begun(): boolean {
    return this.#text.length > 0 || this.#state !== "head"
  }

  /** The body as text. */
  get body(): string {
    const bytes = this.#body
    return /[\x80-\xff]/.test(bytes)
      ? utf8.decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0)))
      : bytes
  }

  /** Takes bytes; says whether the response is complete, or that it is no response. */
  feed(bytes: Uint8Array): "more" | "done" | "bad" {
    if (this.#state === "done") return this.#fail() // more than one response
    this.#text += latin1.decode(bytes)
    if (this.#text.length - this.#at + this.#body.length > maxBytes) return this.#fail()
    const state = this.#steps()
    if (state === "done" && this.#at < this.#text.length) return this.#fail()
    return state === "done" || state === "bad" ? state : "more"
  }

  /** The peer has closed: the end of a body without a length, or too early. */
  end(): "done" | "cut" {
    if (this.#state !== "rest") return "cut"
    this.#body = this.#text.slice(this.#at)
    this.#state = "done"
    return "done"
  }

  #fail(): "bad" {
    this.#state = "bad"
    return "bad"
  }

  #steps(): State {
    while (this.#step()) { /* until bytes run out, or the end */ }
    return this.#state
  }

  #stop(): false {
    this.#fail()
    return false
  }

  /** One step of the state machine; false when it needs more bytes or has ended. */
  #step(): boolean {
    switch (this.#state) {
      case "head":
        return this.#head()
      case "length":
        return this.#take(this.#need, "done")
      case "data":
        return this.#take(this.#need, "size")
      case "size": {
        const line = this.#line()
        if (line === "") return true // the end of the chunk before it
        if (line === undefined) return false
        const size = /^([0-9a-f]+)[ \t]*(;.*)?$/i.exec(line)
        if (size === null) return this.#stop()
        this.#need = parseInt(size[1]!, 16)
        this.#state = this.#need === 0 ? "trailer" : "data"
        return true
      }
      case "trailer": {
        const line = this.#line()
        if (line === undefined) return false
        if (line === "") this.#state = "done"
        return line !== ""
      }
      case "rest":
      case "done":
      case "bad":
        return false
    }
  }

  #take(length: number, then: State): boolean {
    if (this.#text.length - this.#at < length) return false
    this.#body += this.#text.slice(this.#at, this.#at + length)
    this.#at += length
    this.#state = then
    return then !== "done"
  }

  #line(): string | undefined {
    const end = this.#text.indexOf("\r\n", this.#at)
    if (end < 0) return undefined
    const line = this.#text.slice(this.#at, end)
    this.#at = end + 2
    return line
  }

  #head(): boolean {
    const end = this.#text.indexOf("\r\n\r\n", this.#at)
    if (end < 0) return false
    const head = this.#text.slice(this.#at, end + 2)
    this.#at = end + 4
    const start = /^HTTP\/1\.([01]) (\d{3})[ \r]/.exec(head)
    if (start === null) return this.#stop()
    this.status = Number(start[2])
    if (this.status < 200) return true // 100 and 103 come before the response itself
    const connection = field(head, "connection")?.toLowerCase() ?? ""
    this.keepAlive = start[1] === "1" ? !connection.includes("close") : connection === "keep-alive"
    const retryAfter = field(head, "retryAfter")
    if (retryAfter !== undefined) this.retryAfterMs = Number(retryAfter) * 1000
    const length = field(head, "length")
    if (this.status === 204 || this.status === 304) this.#state = "done"
    else if (/\bchunked$/i.test(field(head, "encoding") ?? "")) this.#state = "size"
    else if (length !== undefined && /^\d+$/.test(length)) {
      this.#need = Number(length)
      if (this.#need > maxBytes) return this.#stop()
      this.#state = "length"
    } else if (length !== undefined) return this.#stop()
    else {
      this.keepAlive = false
      this.#state = "rest"
    }
    return this.#state !== "done"
  }
}

const fields = {
  connection: /\r\nconnection:[ \t]*([^\r]*?)[ \t]*\r\n/i,
  retryAfter: /\r\nretry-after:[ \t]*([^\r]*?)[ \t]*\r\n/i,
  length: /\r\ncontent-length:[ \t]*([^\r]*?)[ \t]*\r\n/i,
  encoding: /\r\ntransfer-encoding:[ \t]*([^\r]*?)[ \t]*\r\n/i,
}

const field = (head: string, name: keyof typeof fields): string | undefined =>
  fields[name].exec(head)?.[1]

/** Why it was refused, as the body of a problem says it; else what can be said from outside. */
export const reasonOf = (status: number, body: string): string =>
  /"reason"\s*:\s*"([\w -]{1,40})"/.exec(body)?.[1] ?? `HTTP ${status}`
