import { expect, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Bulkhead, Server, Service, Supervised } from "@weir/runtime"

class Mail extends Context.Service<Mail, Bulkhead.Bulkhead>()("test/Mail") {
  static readonly layer = Layer.effect(Mail, Bulkhead.make({ name: "mail", capacity: 2 }))
}

class Api extends HttpApi.make("shop").add(
  HttpApiGroup.make("mails").add(
    HttpApiEndpoint.post("send", "/mails", { success: Schema.Int }),
  ),
).middleware(Supervised.Supervised) {}

it.live("a handler asks for a service of the resources itself", () =>
  Effect.gen(function* () {
    const handlers = HttpApiBuilder.group(Api, "mails", (handlers) =>
      handlers.handleAll({
        send: () =>
          Effect.flatMap(Mail, (mail) => mail.use(Effect.map(mail.stats, (_) => _.inUse))),
      }))
    // @ts-expect-error: without the resources it does not compile
    void (() => Service.layer(Api, { handlers, server: { port: 0 } }))
    const service = Service.layer(Api, { handlers, resources: Mail.layer, server: { port: 0 } })
    const { port } = Context.get(yield* Layer.build(service), Server.Server)
    const answer = yield* Effect.promise(() =>
      fetch(`http://127.0.0.1:${port}/mails`, { method: "POST" }).then((response) =>
        response.json()
      )
    )
    expect(answer).toBe(1)
  }))
