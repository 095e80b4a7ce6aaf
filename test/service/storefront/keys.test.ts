import { expect, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { nobody } from "../../examples/storefront/support.ts"
import { root } from "../../support/tree.ts"
import { ask, open, products, type Shop } from "./support.ts"

/** What `deno task key` does with these arguments, on the database of the shop. */
const key = (shop: Shop, ...args: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const { code, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "-P=start", "examples/storefront/key.ts", ...args],
      cwd: root,
      env: { DATABASE_URL: Redacted.value(shop.database), NO_COLOR: "1" },
      stdin: "null",
    }).output()
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
    return { code, out: text(stdout), err: text(stderr) }
  })

it.live("a caller with a key is counted by it, one without is not, a wrong key is refused", () =>
  Effect.gen(function* () {
    const shop = yield* open({
      provider: nobody,
      limits: { principal: { requests: 600, per: "1 minute" } },
    })
    const look = (authorization?: string) =>
      ask<{ readonly type?: string }>(`${shop.url}/quotes/${products[0]!.sku}`, {
        headers: authorization === undefined ? {} : { authorization },
      })

    const anonymous = yield* Effect.all(Array.from({ length: 10 }, () => look()))
    expect(anonymous.map(({ status }) => status)).toEqual(Array(10).fill(200))
    expect(anonymous[0]!.headers.get("ratelimit")).toBeNull()
    expect((yield* look("Bearer weir_guess")).status).toBe(401)

    const made = yield* key(shop, "ada", "--limit", "5")
    expect(made).toMatchObject({ code: 0, err: "" })
    expect(made.out).toMatch(/^weir_\w+_\w+\n$/)
    const hers = `Bearer ${made.out.trim()}`
    const answers = yield* Effect.all(Array.from({ length: 5 }, () => look(hers)))
    expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(200))
    expect(answers[0]!.headers.get("ratelimit-policy")).toBe('"principal";q=5;w=60')
    expect(answers[0]!.headers.get("ratelimit")).toMatch(/^"principal";r=4;t=\d+$/)
    const over = yield* look(hers)
    expect(over).toMatchObject({ status: 429, body: { type: "urn:weir:problem:rate-limited" } })
    expect(Number(over.headers.get("retry-after"))).toBeGreaterThan(0)
    expect((yield* look()).status).toBe(200)

    const usual = yield* key(shop, "bob")
    const his = yield* look(`Bearer ${usual.out.trim()}`)
    expect(his.headers.get("ratelimit-policy")).toBe('"principal";q=600;w=60')
  }))

it.live("deno task key says in one sentence what is wrong", () =>
  Effect.gen(function* () {
    const shop = yield* open({ provider: nobody })
    for (const args of [[], ["ada", "--limit", "0"], ["ada", "--class", "first"], ["--what"]]) {
      expect(yield* key(shop, ...args)).toEqual({
        code: 1,
        out: "",
        err: "Cannot read the arguments: Write: deno task key NAME " +
          "[--limit CALLS_PER_MINUTE] [--class CLASS], with a limit from 1 to 1000000 and one of " +
          "the classes critical-plus, critical, sheddable-plus, sheddable.\n",
      })
    }
  }))
