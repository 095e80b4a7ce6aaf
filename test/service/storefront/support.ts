/** The storefront over real sockets, with a real price provider, which the tests make as bad as they like. */
import { Clock, Context, Effect, Layer, Logger, type Redacted, type Scope } from "effect"
import { Database, Principal, type RateLimit, Server, Service } from "@weir/runtime"
import { Api } from "../../../examples/storefront/Api.ts"
import * as Catalogue from "../../../examples/storefront/Catalogue.ts"
import type { Quote } from "../../../examples/storefront/Model.ts"
import type { Behaviour, Control } from "../../../examples/storefront/PriceApi.ts"
import { PriceProvider } from "../../../examples/storefront/PriceProvider.ts"
import { handlers, resources } from "../../examples/storefront/support.ts"
import { TestUrl } from "../../support/database.ts"

/** The first products of the shop that the provider knows. */
export const small: Catalogue.Options = { ...Catalogue.defaults, products: 200, orders: 50 }

export const products: ReadonlyArray<Catalogue.SeedProduct> = [...Catalogue.products(small)]

export interface Answer<A> {
  /** 0 when there was none. */
  readonly status: number
  readonly headers: Headers
  readonly body: A
  /** From the first byte sent to the last one received. */
  readonly ms: number
}

/** Asks for JSON. */
export const ask = <A = unknown>(url: string, init: RequestInit = {}): Effect.Effect<Answer<A>> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const since = clock.currentTimeMillisUnsafe()
    return yield* Effect.promise(async () => {
      const response = await fetch(url, {
        ...init,
        headers: { "content-type": "application/json", ...init.headers },
      })
      const text = await response.text()
      return {
        status: response.status,
        headers: response.headers,
        body: (text === "" ? undefined : JSON.parse(text)) as A,
        ms: clock.currentTimeMillisUnsafe() - since,
      }
    })
  })

export interface Shop {
  readonly url: string
  /** The address of its database. */
  readonly database: Redacted.Redacted
  readonly quote: (sku: string) => Effect.Effect<Answer<Quote>>
  /** So many quotes for one product, one after the other. */
  readonly quotes: (count: number, sku: string) => Effect.Effect<ReadonlyArray<Answer<Quote>>>
  readonly order: (productId: number) => Effect.Effect<Answer<{ readonly id: number }>>
  /** Makes the provider behave like that; what is left out is as in a healthy one. */
  readonly behave: (behaviour: Partial<Behaviour>) => Effect.Effect<Control>
  /** What the provider says of itself. */
  readonly control: Effect.Effect<Control>
}

export interface Options {
  readonly maxConnections?: number
  readonly provider?: Layer.Layer<PriceProvider>
  readonly limits?: RateLimit.Options
}

/** Opens the shop; it closes with the scope. */
export const open = (options: Options = {}): Effect.Effect<Shop, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const quiet = Layer.provide(Logger.layer([]))
    const built = yield* Layer.build(quiet(options.provider ?? PriceProvider.supervised()))
    const provider = Context.get(built, PriceProvider)
    let database: Redacted.Redacted | undefined
    const context = yield* Layer.build(quiet(Service.layer(Api, {
      handlers,
      resources: resources(small, options.maxConnections, Layer.succeedContext(built)).pipe(
        Layer.tap((context) =>
          Effect.sync(() => {
            database = Context.get(context, TestUrl)
          })
        ),
      ),
      principals: Principal.layer(),
      limits: options.limits ?? {},
      // A machine that does much else is late, and searches and quotes are the first to go then.
      admission: { modes: { loopLag: "off" } },
      health: { checks: { database: Database.ping } },
      server: { port: 0 },
    })))
    const { port } = Context.get(context, Server.Server)
    const url = `http://127.0.0.1:${port}`
    const control = (init?: RequestInit) =>
      Effect.orDie(provider.url).pipe(
        Effect.flatMap((at) => ask<Control>(`${at}/control`, init)),
        Effect.map(({ body }) => body),
      )
    const quote = (sku: string) => ask<Quote>(`${url}/quotes/${sku}`)
    return {
      url,
      database: database!,
      quote,
      quotes: (count, sku) => Effect.all(Array.from({ length: count }, () => quote(sku))),
      order: (productId) =>
        ask(`${url}/orders`, {
          method: "POST",
          body: JSON.stringify({ customer: "Ada", lines: [{ productId, quantity: 1 }] }),
        }),
      behave: (behaviour) => control({ method: "PUT", body: JSON.stringify(behaviour) }),
      control: control(),
    }
  })

/** Whether there is a process with that id. */
export const exists = (pid: number): Effect.Effect<boolean> =>
  Effect.sync(() => {
    try {
      // Nothing that runs notices this signal.
      Deno.kill(pid, "SIGCONT")
      return true
    } catch {
      return false
    }
  })
