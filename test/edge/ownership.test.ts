import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Redacted } from "effect"
import { issue } from "../../src/store/secret.ts"
import * as TestDatabase from "../support/database.ts"
import * as Cable from "./support/cable.ts"
import { type Answer, ask, serve } from "./support/doors.ts"

const grant = { name: "ada", tenant: "engines" } as const
const later = { method: "POST", headers: { prefer: "respond-async" } }
const remove = { method: "DELETE" }

/** Every way to look at a task, or to end it. */
const ways = (task: string): ReadonlyArray<readonly [string, RequestInit?]> => [
  [task],
  [task, { method: "HEAD" }],
  [`${task}/result`],
  [`${task}/events`],
  [task, remove],
]

const begin = (url: string, key?: Redacted.Redacted<string>) =>
  Effect.map(ask(`${url}/job`, key, later), (answer) => {
    expect(answer.status).toBe(202)
    return url + answer.headers["location"]!
  })

describe("a task that was asked for with a key", () => {
  it.live("does not exist for anybody else, and cannot be told from one that never was", () =>
    Effect.gen(function* () {
      const { end, keys, tree, url } = yield* serve()
      const ada = yield* keys.create(grant)
      // Of the same tenant, too.
      const eve = yield* keys.create(grant)
      const strangers = [undefined, eve.key, "nonsense", Redacted.value(issue("weir").key)]
      const task = yield* begin(url, ada.key)
      const never = `${url}/tasks/${crypto.randomUUID()}`
      const refused = Effect.gen(function* () {
        for (const key of strangers) {
          const missing = yield* Effect.forEach(ways(never), ([path, init]) => ask(path, key, init))
          const others = yield* Effect.forEach(ways(task), ([path, init]) => ask(path, key, init))
          expect(others.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404])
          expect(others).toEqual(missing)
        }
      })
      yield* refused
      const tasks = yield* tree.dump
      // What the request has started is its caller's as well, wherever it hangs in the tree.
      for (const name of ["job.below", "job.apart"]) {
        const { id } = tasks.find((it) => it.name === name)!
        expect((yield* ask(`${url}/tasks/${id}`, eve.key)).status).toBe(404)
        expect((yield* ask(`${url}/tasks/${id}`, ada.key)).status).toBe(200)
      }
      const live = yield* ask(task, ada.key)
      expect([live.status, JSON.parse(live.text).state]).toEqual([200, "running"])
      yield* Deferred.succeed(end, undefined)
      yield* tree.awaitEmpty
      yield* refused
      const result = yield* ask(`${task}/result`, ada.key)
      expect([result.status, result.text]).toEqual([200, '"done"'])
    }).pipe(Effect.scoped))

  it.live("is cancelled by its caller, and by an operator with the token", () =>
    Effect.gen(function* () {
      const { end, keys, url } = yield* serve({ operators: { token: Redacted.make("the-token") } })
      const ada = yield* keys.create(grant)
      const cancelled = ({ status, text }: Answer) => [status, JSON.parse(text).cancelled]
      expect(cancelled(yield* ask(yield* begin(url, ada.key), ada.key, remove)))
        .toEqual([200, true])
      const other = yield* begin(url, ada.key)
      expect((yield* ask(other, "another token", remove)).status).toBe(404)
      const token = { ...remove, headers: { authorization: "Bearer the-token" } }
      expect(cancelled(yield* ask(other, undefined, token))).toEqual([200, true])
      yield* Deferred.succeed(end, undefined)
    }).pipe(Effect.scoped))

  it.live("needs a key that can be judged: 503 while that is not known, whatever the id", () =>
    Effect.gen(function* () {
      const cable = yield* Cable.make(yield* TestDatabase.url)
      const { end, keys, url } = yield* serve({ url: cable.url })
      const ada = yield* keys.create(grant)
      const eve = yield* keys.create(grant)
      const task = yield* begin(url, ada.key)
      const open = yield* begin(url)
      cable.pull()
      const never = `${url}/tasks/${crypto.randomUUID()}`
      const others = yield* Effect.forEach([task, never], (path) => ask(path, eve.key))
      expect(others.map(({ status }) => status)).toEqual([503, 503])
      // A known key, and a task that needs none.
      expect((yield* ask(task, ada.key)).status).toBe(200)
      expect((yield* ask(open, eve.key)).status).toBe(200)
      yield* Deferred.succeed(end, undefined)
    }).pipe(Effect.scoped))
})

describe("a task that was asked for without a key", () => {
  it.live("is whoever's that knows its id", () =>
    Effect.gen(function* () {
      const { end, keys, tree, url } = yield* serve()
      const eve = yield* keys.create(grant)
      const task = yield* begin(url)
      for (const key of [undefined, eve.key, "nonsense"]) {
        expect((yield* ask(task, key)).status).toBe(200)
      }
      yield* Deferred.succeed(end, undefined)
      yield* tree.awaitEmpty
      for (const key of [undefined, eve.key, "nonsense"]) {
        expect((yield* ask(`${task}/result`, key)).text).toBe('"done"')
      }
    }).pipe(Effect.scoped))
})
