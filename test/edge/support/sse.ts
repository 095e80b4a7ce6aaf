/** A reader of server-sent events that takes them one by one. */
import { Effect, type Scope } from "effect"

export interface Frame {
  readonly event: string
  readonly id: number | undefined
  readonly data: Record<string, unknown>
}

export interface Reader {
  readonly response: Response
  /** The next event; `undefined` at the end. Comments are skipped. */
  readonly next: Effect.Effect<Frame | undefined>
  /** The rest of the events. */
  readonly rest: Effect.Effect<ReadonlyArray<Frame>>
  readonly leave: Effect.Effect<void>
}

export const follow = (
  url: string,
  headers: Record<string, string> = {},
): Effect.Effect<Reader, never, Scope.Scope> =>
  Effect.gen(function* () {
    const abort = new AbortController()
    const leave = Effect.sync(() => abort.abort())
    yield* Effect.addFinalizer(() => leave)
    const response = yield* Effect.promise(() => fetch(url, { headers, signal: abort.signal }))
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    let text = ""
    const read = async (): Promise<Frame | undefined> => {
      while (true) {
        const end = text.indexOf("\n\n")
        if (end < 0) {
          const { done, value } = await reader?.read() ?? { done: true, value: undefined }
          if (done) return undefined
          text += value
          continue
        }
        const fields = Object.fromEntries(
          text.slice(0, end).split("\n").map((line) => {
            const colon = line.indexOf(": ")
            return [line.slice(0, colon), line.slice(colon + 2)]
          }),
        )
        text = text.slice(end + 2)
        if (fields["event"] === undefined) continue
        return {
          event: fields["event"],
          id: fields["id"] === undefined ? undefined : Number(fields["id"]),
          data: JSON.parse(fields["data"]!),
        }
      }
    }
    const next = Effect.promise(read)
    const rest = Effect.promise(async () => {
      const all: Array<Frame> = []
      for (let frame = await read(); frame !== undefined; frame = await read()) all.push(frame)
      return all
    })
    return { response, next, rest, leave }
  })
