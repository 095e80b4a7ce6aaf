/**
 * Makes an API key in the database of the storefront, which may be running meanwhile:
 *
 *     deno task key ada                      600 calls a minute, like everybody with a key
 *     deno task key ada --limit 5            5 calls a minute
 *     deno task key ada --class sheddable    refused before others when the shop is full
 *
 * The key is all that goes to standard output. It is shown this once: what is stored is its hash.
 *
 * @module
 */
import { Cause, Effect, Exit, Layer, Logger, Redacted, Schema } from "effect"
import { ApiKeys, Criticality, Database } from "@weir/runtime"
import { parseArgs } from "node:util"
import { migrations } from "./schema.ts"

const usage =
  "Write: deno task key NAME [--limit CALLS_PER_MINUTE] [--class CLASS], with a limit " +
  `from 1 to 1000000 and one of the classes ${Criticality.classes.join(", ")}.`

const Arguments = Schema.Struct({
  name: Schema.String,
  limit: Schema.optionalKey(
    Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 1e6 })),
  ),
  class: Schema.optionalKey(Schema.Literals(Criticality.classes)),
})

const read = Effect.try(() => {
  const { positionals: [name], values } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: { limit: { type: "string" }, class: { type: "string" } },
  })
  return { name, ...values }
}).pipe(Effect.flatMap(Schema.decodeUnknownEffect(Arguments)))

const create = Effect.fn("Key.create")(function* (asked: typeof Arguments.Type) {
  const keys = yield* ApiKeys.ApiKeys
  const { key } = yield* keys.create({
    name: asked.name,
    tenant: asked.name,
    criticality: asked.class,
    limit: asked.limit === undefined ? undefined : { requests: asked.limit, per: "1 minute" },
  })
  return Redacted.value(key)
})

const database = ApiKeys.layer().pipe(Layer.provide(Database.layer({ migrations })))

const program = read.pipe(
  Effect.mapError(() => `Cannot read the arguments: ${usage}`),
  Effect.flatMap((asked) =>
    create(asked).pipe(
      Effect.provide(database),
      Effect.mapError((error) => `Cannot make the key: ${error.message}`),
    )
  ),
  // Nothing but the key goes to standard output.
  Effect.provide(Logger.layer([])),
)

const exit = await Effect.runPromiseExit(program)
if (Exit.isSuccess(exit)) console.log(exit.value)
else {
  const [reason] = exit.cause.reasons
  console.error(reason?._tag === "Fail" ? reason.error : Cause.pretty(exit.cause))
}
Deno.exit(Exit.isSuccess(exit) ? 0 : 1)
