/** HTTP by hand over a real socket, for what a well-behaved client never sends. */
import { Effect } from "effect"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** One open connection. */
export interface Wire {
  /** Sends bytes as they are. */
  readonly send: (text: string | Uint8Array) => Effect.Effect<void>
  /** Reads until the other side closes, or until the text holds what is looked for. */
  readonly readUntil: (wanted?: string | RegExp) => Effect.Effect<string>
  /** Closes our sending half only. */
  readonly halfClose: Effect.Effect<void>
  /** Drops the connection. */
  readonly close: Effect.Effect<void>
}

/** Connects; the connection is dropped with the scope. */
export const connect = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => Deno.connect({ hostname: "127.0.0.1", port })),
      (conn) => Effect.sync(() => closeQuietly(conn)),
    ),
    (conn): Wire => {
      let text = ""
      return {
        send: (data) =>
          Effect.promise(async () => {
            const bytes = typeof data === "string" ? encoder.encode(data) : data
            try {
              for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at))
            } catch {
              // The server may close before it has read everything; the answer tells.
            }
          }),
        readUntil: (wanted) =>
          Effect.promise(async () => {
            const chunk = new Uint8Array(65_536)
            while (!found(text, wanted)) {
              const count = await conn.read(chunk).catch(() => null)
              if (count === null) break
              text += decoder.decode(chunk.subarray(0, count), { stream: true })
            }
            return text
          }),
        halfClose: Effect.promise(() => conn.closeWrite()),
        close: Effect.sync(() => closeQuietly(conn)),
      }
    },
  )

const found = (text: string, wanted: string | RegExp | undefined): boolean =>
  wanted !== undefined && (typeof wanted === "string" ? text.includes(wanted) : wanted.test(text))

const closeQuietly = (conn: Deno.Conn): void => {
  try {
    conn.close()
  } catch {
    // Closed already.
  }
}

/** A complete request by hand, for one answer on a connection of its own. */
export const exchange = (port: number, request: string) =>
  Effect.scoped(
    Effect.flatMap(connect(port), (wire) => Effect.andThen(wire.send(request), wire.readUntil())),
  )
