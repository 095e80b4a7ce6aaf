import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Context,
  Effect,
  Exit,
  identity,
  Layer,
  Logger,
  Redacted,
  Schema,
  Tracer,
} from "effect"
import {
  FetchHttpClient,
  HttpClient,
  HttpClientRequest,
  HttpServerRequest,
  HttpServerResponse,
} from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpApiEndpoint,
  HttpApiGroup,
} from "effect/http-api"
import {
  Caller,
  Metrics,
  Policy,
  Principal,
  Server,
  Service,
  Supervised,
  TaskTree,
} from "@weir/runtime"
import { Peer } from "../../src/admission/peer.ts"
import { Compiled } from "../../src/edge/compiled.ts"
import { attach, Exchange } from "../../src/edge/exchange.ts"
import { identify } from "../../src/edge/identify.ts"
import { issue } from "../../src/store/secret.ts"
import * as TestDatabase from "../support/database.ts"
import * as Cable from "./support/cable.ts"
import { until } from "./support/desk.ts"
import { Api as Doors, ask, serve } from "./support/doors.ts"

const grant = { name: "ada", tenant: "engines" } as const

describe("an endpoint that asks for a key", () => {
  it.live("answers every wrong key alike, the first time and every other", () =>
    Effect.gen(function* () {
      const { db, keys, url } = yield* serve()
      const expired = yield* keys.create({ ...grant, expires: "1 hour" })
      yield* db.execute`
        update weir_api_keys set expires_at = now() where id = ${expired.stored.id}`
      const revoked = yield* keys.create(grant)
      yield* keys.revoke(revoked.stored.id)
      const good = yield* keys.create(grant)
      const text = Redacted.value(good.key)
      const other = Redacted.value((yield* keys.create(grant)).key)
      // The id of one key before the secret of another.
      yield* db.execute`
        update weir_api_keys set hash = sha256('other') where id = ${good.stored.id}`
      const wrong: ReadonlyArray<readonly [string, string]> = [
        ["unknown", Redacted.value(issue("weir").key)],
        ["expired", Redacted.value(expired.key)],
        ["revoked", Redacted.value(revoked.key)],
        ["another secret", text],
        ["mistyped", other.slice(0, -1)],
        ["nonsense", "x"],
        ["long", "x".repeat(4000)],
      ]
      const missing = yield* ask(`${url}/mine`)
      expect(missing.status).toBe(401)
      expect(missing.headers).toMatchObject({
        "content-type": "application/problem+json",
        "www-authenticate": 'Bearer realm="api"',
        "cache-control": "no-store",
      })
      expect(JSON.parse(missing.text)).toEqual({
        type: "urn:weir:problem:unauthenticated",
        title: "A valid API key is needed",
        status: 401,
        detail: "Send it as `Authorization: Bearer <key>` or `X-API-Key`.",
      })
      const expected = {
        ...missing,
        headers: {
          ...missing.headers,
          "www-authenticate": 'Bearer realm="api", error="invalid_token"',
        },
      }
      for (let time = 0; time < 3; time++) {
        for (const [what, key] of wrong) {
          for (const path of ["/mine", "/maybe"]) {
            expect([what, yield* ask(url + path, key)]).toEqual([what, expected])
          }
          expect([what, yield* ask(`${url}/mine`, undefined, { headers: { "x-api-key": key } })])
            .toEqual([what, expected])
        }
        expect(yield* ask(`${url}/mine`, undefined, { headers: { authorization: "Basic YTpi" } }))
          .toEqual(missing)
      }
    }).pipe(Effect.scoped))

  it.live("knows the caller in the handler, and never the one before", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve()
      const one = yield* keys.create({ ...grant, tenant: "one" })
      const two = yield* keys.create({ ...grant, tenant: "two" })
      for (let time = 0; time < 3; time++) {
        for (const { key, stored } of [one, two]) {
          const { id, tenant } = stored
          const expected = { id, tenant, rank: 1, accounted: true }
          for (const path of ["/mine", "/maybe"]) {
            expect(JSON.parse((yield* ask(url + path, key)).text)).toEqual(expected)
          }
          const headers = { "x-api-key": Redacted.value(key) }
          expect(JSON.parse((yield* ask(`${url}/mine`, undefined, { headers })).text))
            .toEqual(expected)
          const scheme = { headers: { authorization: `bEARER  ${Redacted.value(key)}` } }
          expect(JSON.parse((yield* ask(`${url}/mine`, undefined, scheme)).text)).toEqual(expected)
        }
        const nobody = { id: null, tenant: null, rank: 1, accounted: false }
        expect(JSON.parse((yield* ask(`${url}/maybe`)).text)).toEqual(nobody)
        expect(JSON.parse((yield* ask(`${url}/open`, one.key)).text)).toEqual(nobody)
      }
    }).pipe(Effect.scoped))

  it.live("takes class and tenant from the key, and from nothing that the client sends", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve()
      const low = yield* keys.create({ ...grant, criticality: "sheddable-plus" })
      const high = yield* keys.create({ ...grant, criticality: "critical-plus" })
      const headers = { "x-criticality": "critical-plus", "x-tenant": "root", priority: "u=0" }
      const rankOf = (path: string, key: Redacted.Redacted<string>) =>
        Effect.map(
          ask(url + path, key, { headers }),
          ({ text }) => [JSON.parse(text).rank, JSON.parse(text).tenant],
        )
      for (let time = 0; time < 2; time++) {
        expect(yield* rankOf("/mine", low.key)).toEqual([2, "engines"])
        // A key may be worth less than its endpoint, never more.
        expect(yield* rankOf("/mine", high.key)).toEqual([1, "engines"])
        expect(yield* rankOf("/least", high.key)).toEqual([3, "engines"])
      }
    }).pipe(Effect.scoped))

  it.live("goes through create, use, rotate, revoke", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve()
      const first = yield* keys.create(grant)
      const status = (key: Redacted.Redacted<string>) =>
        Effect.map(ask(`${url}/mine`, key), (answer) => answer.status)
      expect(yield* status(first.key)).toBe(200)
      const second = yield* keys.rotate(first.stored.id, { overlap: "1 hour" })
      expect([yield* status(first.key), yield* status(second.key)]).toEqual([200, 200])
      yield* keys.revoke(first.stored.id)
      expect([yield* status(first.key), yield* status(second.key)]).toEqual([401, 200])
      const third = yield* keys.rotate(second.stored.id, { overlap: 0 })
      expect([yield* status(second.key), yield* status(third.key)]).toEqual([401, 200])
    }).pipe(Effect.scoped))

  it.live("while the database is away lets known keys in, and answers others 503", () =>
    Effect.gen(function* () {
      const cable = yield* Cable.make(yield* TestDatabase.url)
      const { keys, url } = yield* serve({ url: cable.url })
      const known = yield* keys.create(grant)
      const other = yield* keys.create(grant)
      expect((yield* ask(`${url}/mine`, known.key)).status).toBe(200)
      cable.pull()
      const away = yield* ask(`${url}/mine`, other.key)
      expect(away.status).toBe(503)
      expect(away.headers["www-authenticate"]).toBeUndefined()
      expect(JSON.parse(away.text)).toMatchObject({
        type: "urn:weir:problem:database-unavailable",
      })
      expect((yield* ask(`${url}/mine`, known.key)).status).toBe(200)
      expect((yield* ask(`${url}/mine`)).status).toBe(401)
      expect((yield* ask(`${url}/maybe`)).status).toBe(200)
      cable.plug()
      yield* Effect.repeat(ask(`${url}/mine`, other.key), { until: (it) => it.status === 200 })
    }).pipe(Effect.scoped))

  it.live("answered later needs a key as well, before anything is promised", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve()
      const { key, stored } = yield* keys.create(grant)
      const init = { method: "POST", headers: { prefer: "respond-async" } }
      expect((yield* ask(`${url}/later`, undefined, init)).status).toBe(401)
      for (let time = 0; time < 2; time++) {
        const accepted = yield* ask(`${url}/later`, key, init)
        expect(accepted.status).toBe(202)
        const result = ask(`${url}${accepted.headers["location"]}/result`, key)
        const done = yield* Effect.repeat(result, { until: (it) => it.status !== 409 })
        expect(JSON.parse(done.text)).toMatchObject({ id: stored.id })
      }
    }).pipe(Effect.scoped))

  it.live("lets in and turns away the same while requests are traced", () =>
    Effect.gen(function* () {
      const { keys, url } = yield* serve()
      const { key, stored } = yield* keys.create(grant)
      const limited = yield* keys.create({ ...grant, limit: { requests: 1, per: "1 minute" } })
      for (let time = 0; time < 2; time++) {
        expect((yield* ask(`${url}/mine`)).status).toBe(401)
        expect((yield* ask(`${url}/mine`, Redacted.value(issue("weir").key))).status).toBe(401)
        expect(JSON.parse((yield* ask(`${url}/mine`, key)).text)).toMatchObject({ id: stored.id })
        const answer = yield* ask(`${url}/mine`, limited.key)
        expect(answer.status).toBe(time === 0 ? 200 : 429)
        expect(answer.headers["ratelimit"]).toMatch(/^"principal";r=0;t=(59|60)$/)
      }
    }).pipe(
      Effect.scoped,
      Effect.provideService(
        Tracer.Tracer,
        Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }),
      ),
    ))

  it.live("tells a typed client what was wrong, and counts whom it does not let in", () =>
    Effect.gen(function* () {
      const { keys, metrics, url } = yield* serve()
      const { key } = yield* keys.create(grant)
      const client = yield* HttpApiClient.make(Doors, { baseUrl: url })
      for (let time = 0; time < 3; time++) {
        const error = yield* Effect.flip(client.doors.mine())
        expect(error).toBeInstanceOf(Principal.Unauthenticated)
      }
      const trusted = yield* HttpApiClient.make(Doors, {
        baseUrl: url,
        transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(key)),
      })
      expect(yield* trusted.doors.mine()).toMatchObject({ tenant: "engines" })
      const requests = metrics.read(0).find(({ definition }) =>
        definition.name === "weir_requests_total"
      )!
      const refused = requests.samples.filter(({ labels }) => labels.includes("Unauthenticated"))
      expect(refused.map(({ value }) => value)).toEqual([3])
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.scoped))

  it.live("keeps keys out of logs and problems, also when something breaks", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ cause, message }) => {
        lines.push(`${JSON.stringify(message)} ${Cause.pretty(cause)}`)
      })
      yield* Effect.gen(function* () {
        const { db, keys, url } = yield* serve()
        const { key } = yield* keys.create(grant)
        const text = Redacted.value(key)
        expect((yield* ask(`${url}/dies`, key)).status).toBe(500)
        const unknown = issue("weir")
        yield* db.execute`alter table weir_api_keys rename column hash to other`
        const broken = yield* ask(`${url}/mine`, unknown.key)
        expect(broken.status).toBe(500)
        expect(JSON.parse(broken.text).type).toBe("urn:weir:problem:internal")
        expect(lines.length).toBeGreaterThan(1)
        for (const secret of [text, Redacted.value(unknown.key)]) {
          expect(lines.join("\n") + broken.text).not.toContain(secret.slice(22, 65))
        }
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([logger])))
    }))
})

class Own extends HttpApi.make("own").add(
  HttpApiGroup.make("own").add(
    HttpApiEndpoint.get("mine", "/mine", { success: Schema.String })
      .annotate(Policy.Policy, { auth: "required" }),
    HttpApiEndpoint.post("later", "/later", { success: Schema.String })
      .annotate(Policy.Policy, { auth: "required", async: "always" }),
  ),
).middleware(Supervised.Supervised) {}

const own = HttpApiBuilder.group(Own, "own", (handlers) =>
  handlers.handleAll({
    mine: () => Effect.map(Principal.required, ({ name }) => name),
    later: () => Effect.map(Principal.required, ({ name }) => name),
  }))

describe("principals of one's own", () => {
  const served = (principals: Principal.Principals) =>
    Effect.map(
      Layer.build(Service.layer(Own, {
        handlers: own,
        principals: Layer.succeed(Principal.Principals, principals),
        server: { port: 0 },
      })),
      (context) => `http://127.0.0.1:${Context.get(context, Server.Server).port}`,
    )

  it.live("take the place of API keys", () =>
    Effect.gen(function* () {
      const ada = { id: "1", name: "ada", tenant: "t", criticality: undefined, scopes: [] }
      const url = yield* served({
        recognize: (credential) => credential === "ada" ? ada : "wrong",
        authenticate: () => Effect.die("never asked"),
      })
      for (let time = 0; time < 3; time++) {
        expect(yield* ask(`${url}/mine`, "ada")).toMatchObject({ status: 200, text: '"ada"' })
        expect((yield* ask(`${url}/mine`, "eve")).status).toBe(401)
      }
    }).pipe(Effect.scoped))

  it.live("are asked once for each request, also for one that is answered later", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const url = yield* served({
        recognize: (credential) => {
          asked.push(credential)
          return { id: "1", name: "ada", tenant: "t", criticality: undefined, scopes: [] }
        },
        authenticate: () => Effect.die("never asked"),
      })
      for (const [path, method] of [["/mine", "GET"], ["/later", "POST"]] as const) {
        for (let time = 1; time <= 3; time++) {
          asked.length = 0
          const answer = yield* ask(url + path, "ada", { method })
          expect([answer.status, answer.text, asked]).toEqual([200, '"ada"', ["ada"]])
        }
      }
    }).pipe(Effect.scoped))

  it.live("are told the network that asks, so that one need not keep others waiting", () =>
    Effect.gen(function* () {
      const peers: Array<string | undefined> = []
      const ada = { id: "1", name: "ada", tenant: "t", criticality: undefined, scopes: [] }
      const url = yield* served({
        recognize: () => undefined,
        authenticate: (_, peer) =>
          Effect.sync(() => {
            peers.push(peer)
            return ada
          }),
      })
      expect((yield* ask(`${url}/mine`, "ada")).status).toBe(200)
      expect((yield* ask(`${url}/tasks/none`, "ada")).status).toBe(404)
      expect(peers).toEqual(["127.0.0.1", "127.0.0.1"])
    }).pipe(Effect.scoped))

  it.live("stop looking somebody up who has left", () =>
    Effect.gen(function* () {
      let waiting = 0
      const url = yield* served({
        recognize: () => undefined,
        authenticate: () =>
          Effect.callback(() => {
            waiting++
            return Effect.sync(() => {
              waiting--
            })
          }),
      })
      for (let time = 0; time < 3; time++) {
        const abort = new AbortController()
        const answer = fetch(`${url}/mine`, {
          signal: abort.signal,
          headers: { authorization: "Bearer ada" },
        }).catch(() => "gone")
        yield* until(() => waiting === 1)
        abort.abort()
        expect(yield* Effect.promise(() => answer)).toBe("gone")
        yield* until(() => waiting === 0)
      }
    }).pipe(Effect.scoped))
})

describe("an address that an earlier door has met", () => {
  const ada = { id: "1", name: "ada", tenant: "t", criticality: undefined, scopes: [] }
  const env = {
    tree: TaskTree.makeUnsafe().unsafe,
    callers: Caller.nobody,
    limits: undefined,
    admission: undefined as never,
    principals: {
      recognize: (credential: string) => credential === "ada" ? ada : "wrong" as const,
      authenticate: () => Effect.die("never asked"),
    },
  }
  /** Who comes through a door with that `auth` after one at which the caller was an address. */
  const through = (auth: "none" | "optional" | "required", key: string | undefined) => {
    const metrics = Metrics.makeUnsafe().endpoint("own.mine", "GET")
    const endpoint = new Compiled("own.mine", Policy.resolve("own.mine", { auth }), [], metrics)
    const source = new Request("http://x/mine", {
      headers: key === undefined ? {} : { "x-api-key": key },
    })
    const exchange = new Exchange(true)
    exchange.caller = new Peer("192.0.2.1")
    attach(source, exchange)
    const request = HttpServerRequest.fromWeb(source)
    const admit = (caller: Caller.Caller | undefined) =>
      Effect.succeed(HttpServerResponse.text(caller?.id ?? "nobody"))
    return identify(endpoint, env, request, 0, identity, admit).pipe(
      Effect.map((response) =>
        response.status === 200
          ? new TextDecoder().decode(
            (response.body as { readonly body: Uint8Array }).body,
          )
          : response.status
      ),
      Effect.provideService(HttpServerRequest.HttpServerRequest, request),
    ) as Effect.Effect<string | number>
  }

  it.effect("is not taken for a key where one must or may be shown", () =>
    Effect.gen(function* () {
      expect(yield* through("required", undefined)).toBe(401)
      expect(yield* through("required", "eve")).toBe(401)
      expect(yield* through("required", "ada")).toBe("1")
      expect(yield* through("optional", "eve")).toBe(401)
      expect(yield* through("optional", "ada")).toBe("1")
      expect(yield* through("none", "eve")).toBe("192.0.2.1")
    }))
})

describe("a policy's auth", () => {
  it.live("without principals fails the start with one sentence", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(
        Service.layer(Own, { handlers: own, server: { port: 0 } }),
      )))
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
        _tag: "Mistake",
        message: 'Policy of own.mine: auth is "required", but nothing knows any keys. Give the ' +
          "service its principals: Principal.layer(), with ApiKeys.layer() in its resources.",
      })
    }))

  it("is one of three words", () => {
    expect(() => Policy.resolve("own.mine", { auth: "yes" as never }))
      .toThrow('Policy of own.mine: auth is "yes". Use "none", "optional" or "required".')
  })

  it.live("is in the document of the API, where it is asked for", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ limits: { principal: { requests: 9, per: "1 minute" } } })
      const { text } = yield* ask(`${url}/openapi.json`)
      const { components, paths } = JSON.parse(text)
      expect(components.securitySchemes).toMatchObject({
        apiKey: { type: "http", scheme: "bearer" },
        apiKeyHeader: { type: "apiKey", in: "header", name: "X-API-Key" },
      })
      const byKey = [{ apiKey: [] }, { apiKeyHeader: [] }]
      expect(paths["/mine"].get.security).toEqual(byKey)
      expect(paths["/maybe"].get.security).toEqual([...byKey, {}])
      expect(paths["/open"].get.security).toEqual([])
      expect(Object.keys(paths["/mine"].get.responses)).toContain("401")
      expect(paths["/mine"].get.responses["429"].headers["RateLimit"]).toBeDefined()
      for (const status of ["401", "429"]) {
        expect(Object.keys(paths["/open"].get.responses)).not.toContain(status)
      }
      expect(text).not.toContain("#/components/schemas/undefined")
    }).pipe(Effect.scoped))
})
