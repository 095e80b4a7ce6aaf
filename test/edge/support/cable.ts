/** A cable to the test's PostgreSQL that can be pulled: a proxy of TCP connections. */
import { Effect, Redacted } from "effect"

export interface Cable {
  readonly url: Redacted.Redacted
  /** Breaks all connections, and takes no more. */
  readonly pull: () => void
  readonly plug: () => void
}

export const make = (url: Redacted.Redacted) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const target = new URL(Redacted.value(url))
      const address = { hostname: target.hostname, port: Number(target.port || 5432) }
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 })
      const open = new Set<Deno.Conn>()
      let pulled = false
      const close = (conn: Deno.Conn) => {
        if (!open.delete(conn)) return
        try {
          conn.close()
        } catch {
          // The other side was faster.
        }
      }
      const join = async (near: Deno.Conn) => {
        open.add(near)
        if (pulled) return close(near)
        const far = await Deno.connect(address)
        open.add(far)
        if (pulled || !open.has(near)) return close(far), close(near)
        const pipe = (from: Deno.Conn, to: Deno.Conn) =>
          from.readable.pipeTo(to.writable).catch(() => {}).finally(() => {
            close(from)
            close(to)
          })
        await Promise.all([pipe(near, far), pipe(far, near)])
      }
      const accepting = (async () => {
        for await (const conn of listener) join(conn).catch(() => close(conn))
      })().catch(() => {})
      const pull = () => {
        pulled = true
        for (const conn of Array.from(open)) close(conn)
      }
      const near = new URL(target)
      near.hostname = "127.0.0.1"
      near.port = String((listener.addr as Deno.NetAddr).port)
      return {
        url: Redacted.make(near.href),
        pull,
        plug: () => {
          pulled = false
        },
        end: () => {
          pull()
          listener.close()
          return accepting
        },
      }
    }),
    ({ end }) => Effect.promise(end),
  )
