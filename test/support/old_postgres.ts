/**
 * A server that claims to be an older PostgreSQL. It speaks as much of the protocol as it takes to
 * let a client in and to answer its first question; a real server of that age cannot be installed.
 */
import { Effect } from "effect"

const encoder = new TextEncoder()
const sslRequest = 80877103

const int = (bytes: 2 | 4, value: number): Uint8Array => {
  const view = new DataView(new ArrayBuffer(bytes))
  if (bytes === 2) view.setInt16(0, value)
  else view.setInt32(0, value)
  return new Uint8Array(view.buffer)
}
const text = (value: string): Uint8Array => encoder.encode(`${value}\0`)
const join = (...parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]))

/** A message of the server: its type, its length, its content. */
const message = (type: string, ...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const content = join(...parts)
  return join(encoder.encode(type), int(4, content.length + 4), content)
}

const ready = message("Z", encoder.encode("I"))
const parameter = (name: string, value: string) => message("S", text(name), text(value))

/** A column of type `text` in binary format, which looks like the other one. */
const column = (name: string) =>
  join(text(name), int(4, 0), int(2, 0), int(4, 25), int(2, -1), int(4, -1), int(2, 1))

/** What it answers to each message of a client; everything else gets no answer. */
const replies = (
  values: Readonly<Record<string, string>>,
): Readonly<Record<string, Uint8Array>> => {
  const names = Object.keys(values)
  const header = message("T", int(2, names.length), ...names.map(column))
  const fields = Object.values(values).map((value) => encoder.encode(value))
  const row = message(
    "D",
    int(2, fields.length),
    ...fields.flatMap((field) => [int(4, field.length), field]),
  )
  const done = message("C", text("SELECT 1"))
  return {
    P: message("1"),
    B: message("2"),
    D: header,
    E: join(row, done),
    S: ready,
  }
}

const serve = async (conn: Deno.Conn, version: string, number: string): Promise<void> => {
  const answers = replies({ n: number, v: version })
  const greeting = join(
    message("R", int(4, 0)),
    parameter("server_version", version),
    parameter("client_encoding", "UTF8"),
    parameter("standard_conforming_strings", "on"),
    parameter("integer_datetimes", "on"),
    message("K", int(4, 1), int(4, 2)),
    ready,
  )
  let bytes = new Uint8Array()
  let started = false
  const chunk = new Uint8Array(65_536)
  for (;;) {
    const count = await conn.read(chunk)
    if (count === null) return
    bytes = join(bytes, chunk.subarray(0, count)) as typeof bytes
    for (;;) {
      // Only the first messages have no type.
      const typed = started ? 1 : 0
      if (bytes.length < typed + 4) break
      const view = new DataView(bytes.buffer, bytes.byteOffset)
      const length = view.getInt32(typed) + typed
      if (bytes.length < length) break
      const type = String.fromCharCode(bytes[0]!)
      const code = started ? 0 : view.getInt32(4)
      bytes = bytes.slice(length)
      if (started && type === "X") return
      if (started) await conn.write(answers[type] ?? new Uint8Array())
      else if (code === sslRequest) await conn.write(encoder.encode("N"))
      else {
        started = true
        await conn.write(greeting)
      }
    }
  }
}

/** Listens until the scope closes; its port. */
export const oldPostgres = (version: string, number: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 })
        const open = new Set<Deno.Conn>()
        const accepting = (async () => {
          for await (const conn of listener) {
            open.add(conn)
            serve(conn, version, number).catch(() => {}).finally(() => {
              if (open.delete(conn)) conn.close()
            })
          }
        })()
        return { listener, open, accepting }
      }),
      ({ accepting, listener, open }) =>
        Effect.promise(async () => {
          listener.close()
          for (const conn of open) if (open.delete(conn)) conn.close()
          await accepting.catch(() => {})
        }),
    ),
    ({ listener }) => (listener.addr as Deno.NetAddr).port,
  )
