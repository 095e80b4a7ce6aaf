/**
 * The load generator: a process of its own. Reads one {@link Job} per line on stdin, writes one
 * {@link Result} per line on stdout.
 *
 * It keeps a fixed number of keep-alive connections busy with one request each, checks every
 * response, and lets the requests in flight finish before it reports, so its count is exactly
 * what the server answered.
 *
 * It calls poll, recv and send of the C library, because a generator on `node:net` (35,000
 * requests/s) is slower than the fastest subject: that starves the server, makes each of its
 * wake-ups serve fewer requests, and so flatters everything that is compared with it.
 */

/** One request, repeated. */
export interface Job {
  readonly port: number
  readonly method: "GET" | "POST"
  readonly path: string
  /** A JSON body, or none. */
  readonly body?: string | undefined
  readonly connections: number
  readonly seconds: number
  readonly expect: Expectation
}

/** What every response must be. */
export interface Expectation {
  readonly status: number
  /** The whole body. */
  readonly body?: string | undefined
  /** Parts of the body, where the whole of it varies. */
  readonly includes?: ReadonlyArray<string> | undefined
}

/** What one job did. */
export interface Result {
  readonly requests: number
  readonly seconds: number
  /** Responses that were not as expected, and connections that broke. */
  readonly wrong: number
  /** The first of them, in words. */
  readonly problem: string | null
}

const STALL_MS = 10_000
const POLLIN = 1
const MAX_HEAD = 16_384
const decoder = new TextDecoder()
const latin1 = new TextDecoder("latin1") // one character per byte: offsets in text are offsets in bytes

/** The bytes of a request. */
export const requestBytes = (job: Job): Uint8Array<ArrayBuffer> => {
  const head = [`${job.method} ${job.path} HTTP/1.1`, `Host: 127.0.0.1:${job.port}`]
  if (job.body !== undefined) {
    const length = new TextEncoder().encode(job.body).length
    head.push("Content-Type: application/json", `Content-Length: ${length}`)
  }
  return new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n${job.body ?? ""}`)
}

/** One response found in the bytes read so far; `undefined` while it is incomplete. */
export interface Parsed {
  readonly status: number
  readonly bodyStart: number
  readonly end: number
}

/** Finds one whole response with a Content-Length at the start of `bytes`. */
export const parse = (bytes: Uint8Array): Parsed | undefined | "no Content-Length" => {
  const text = latin1.decode(bytes.subarray(0, MAX_HEAD))
  const headEnd = text.indexOf("\r\n\r\n")
  if (headEnd < 0) return undefined
  const head = text.slice(0, headEnd)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)
  if (length === null) return "no Content-Length"
  const bodyStart = headEnd + 4
  const end = bodyStart + Number(length[1])
  return bytes.length < end ? undefined : { status: Number(head.slice(9, 12)), bodyStart, end }
}

/** Why a response is not the expected one, or `null`. */
export const judge = (expect: Expectation, status: number, body: string): string | null => {
  if (status !== expect.status) {
    return `status ${status} instead of ${expect.status}: ${body.slice(0, 300)}`
  }
  if (expect.body !== undefined && body !== expect.body) {
    return `body ${body.slice(0, 300)} instead of ${expect.body}`
  }
  const missing = expect.includes?.find((part) => !body.includes(part))
  return missing === undefined ? null : `body without ${missing}: ${body.slice(0, 300)}`
}

const openLibc = () =>
  Deno.dlopen("libc.so.6", {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
    poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
    recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
    send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
    close: { parameters: ["i32"], result: "i32" },
  }).symbols

type Libc = ReturnType<typeof openLibc>

const dial = (libc: Libc, port: number): number => {
  const AF_INET = 2, SOCK_STREAM = 1, IPPROTO_TCP = 6, TCP_NODELAY = 1
  const address = new Uint8Array(16)
  const view = new DataView(address.buffer)
  view.setUint16(0, AF_INET, true)
  view.setUint16(2, port)
  view.setUint32(4, 0x7f000001)
  const fd = libc.socket(AF_INET, SOCK_STREAM, 0)
  if (libc.connect(fd, address, 16) !== 0) return -1
  libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, new Uint8Array([1, 0, 0, 0]), 4)
  return fd
}

/** Runs one job to its end. Blocks the thread: this process does nothing else. */
export const run = (libc: Libc, job: Job): Result => {
  const request = requestBytes(job)
  const chunk = new Uint8Array(65_536)
  const partial: Array<Uint8Array | undefined> = []
  const polled = new ArrayBuffer(job.connections * 8) // struct pollfd { int fd; short events, revents }
  const fds = new Int32Array(polled)
  const flags = new Int16Array(polled)
  const pollfds = new Uint8Array(polled)
  let requests = 0, wrong = 0, open = 0, problem: string | null = null
  // The last response that passed the full check. One of the same length, status and body passes too.
  let known: { readonly bytes: Uint8Array; readonly bodyStart: number } | undefined

  const fail = (message: string): void => {
    wrong += 1
    problem ??= message
  }
  const close = (i: number): void => {
    libc.close(fds[i * 2]!)
    fds[i * 2] = -1 // poll skips it
    flags[i * 4 + 3] = 0
    open -= 1
  }
  const size = BigInt(request.length)
  const send = (fd: number): boolean => libc.send(fd, request, size, 0) === size

  const isKnown = (bytes: Uint8Array, length: number): boolean => {
    if (known === undefined || known.bytes.length !== length) return false
    for (let at = 9; at < 12; at++) if (bytes[at] !== known.bytes[at]) return false
    for (let at = known.bodyStart; at < length; at++) {
      if (bytes[at] !== known.bytes[at]) return false
    }
    return true
  }
  /** Whether a whole response has arrived on connection `i`; closes it if it never will. */
  const received = (i: number): boolean => {
    const length = Number(libc.recv(fds[i * 2]!, chunk, 65_536n, 0))
    if (length <= 0) {
      fail(length === 0 ? "the server closed a connection" : "a connection broke")
      close(i)
      return false
    }
    const before = partial[i]
    if (before === undefined && isKnown(chunk, length)) return true
    const bytes = new Uint8Array((before?.length ?? 0) + length)
    if (before !== undefined) bytes.set(before)
    bytes.set(chunk.subarray(0, length), before?.length ?? 0)
    const parsed = parse(bytes)
    if (parsed === undefined) {
      partial[i] = bytes
      return false
    }
    if (parsed === "no Content-Length" || parsed.end !== bytes.length) {
      fail(parsed === "no Content-Length" ? `a response with ${parsed}` : "more than one response")
      close(i)
      return false
    }
    partial[i] = undefined
    const body = decoder.decode(bytes.subarray(parsed.bodyStart))
    const verdict = judge(job.expect, parsed.status, body)
    if (verdict === null) known = { bytes, bodyStart: parsed.bodyStart }
    else fail(verdict)
    return true
  }

  const started = performance.now()
  const until = started + job.seconds * 1000
  let lastAnswer = started
  for (let i = 0; i < job.connections; i++) {
    fds[i * 2] = dial(libc, job.port)
    flags[i * 4 + 2] = POLLIN
    if (fds[i * 2] === -1 || !send(fds[i * 2]!)) fail(`cannot connect to 127.0.0.1:${job.port}`)
    else open += 1
  }
  while (open > 0) {
    libc.poll(pollfds, BigInt(job.connections), 1000)
    const now = performance.now()
    const stopping = now >= until
    for (let i = 0; i < job.connections; i++) {
      if (flags[i * 4 + 3] === 0 || !received(i)) continue
      requests += 1
      lastAnswer = now
      if (stopping) {
        close(i)
      } else if (!send(fds[i * 2]!)) {
        fail("a connection broke")
        close(i)
      }
    }
    if (now - lastAnswer > STALL_MS) {
      fail(`no answer for ${STALL_MS / 1000} s on ${open} connections`)
      for (let i = 0; i < job.connections; i++) if (fds[i * 2] !== -1) close(i)
    }
  }
  return { requests, seconds: (performance.now() - started) / 1000, wrong, problem }
}

if (import.meta.main) {
  const libc = openLibc()
  let rest = ""
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n")
    rest = lines.pop()!
    for (const line of lines) console.log(JSON.stringify(run(libc, JSON.parse(line) as Job)))
  }
}
