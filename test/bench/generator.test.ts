import { describe, expect, it } from "@effect/vitest"
import { startGenerator } from "./generator.ts"
import type { Job, Result } from "./load.ts"

const job: Omit<Job, "port"> = {
  method: "GET",
  path: "/a",
  connections: 8,
  seconds: 0.1,
  expect: { status: 200, body: "a" },
}

/** Runs jobs against a server in this process; also says how many requests the server has seen. */
const against = async (
  handler: Deno.ServeHandler,
  ...jobs: ReadonlyArray<Omit<Job, "port">>
): Promise<{ readonly results: ReadonlyArray<Result>; readonly seen: number }> => {
  let seen = 0
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, info) => {
      seen += 1
      return handler(request, info)
    },
  )
  const generator = startGenerator()
  try {
    const results: Array<Result> = []
    for (const job of jobs) results.push(await generator.run({ ...job, port: server.addr.port }))
    return { results, seen }
  } finally {
    await generator.close()
    await server.shutdown()
  }
}

describe.skipIf(Deno.build.os !== "linux")("the load generator", () => {
  it("counts exactly the requests that the server answered, job after job", async () => {
    const { results, seen } = await against(() => new Response("a"), job, job)
    expect(results.map(({ wrong, problem }) => ({ wrong, problem })))
      .toEqual([{ wrong: 0, problem: null }, { wrong: 0, problem: null }])
    expect(results[0]!.requests).toBeGreaterThan(0)
    expect(results[0]!.requests + results[1]!.requests).toBe(seen)
  })

  it("sends the body, and reads an answer that comes in parts", async () => {
    const long = "0123456789".repeat(30_000)
    const { results } = await against(
      async (request) => new Response(await request.text() === "{}" ? long : "no"),
      { ...job, method: "POST", body: "{}", expect: { status: 200, body: long } },
    )
    expect(results[0]).toMatchObject({ wrong: 0, problem: null })
  })

  it("finds the one wrong answer among right ones of the same length", async () => {
    let count = 0
    const { results } = await against(() => new Response(++count === 20 ? "b" : "a"), job)
    expect(results[0]).toMatchObject({ wrong: 1, problem: "body b instead of a" })
  })

  it("finds the one answer with another status", async () => {
    let count = 0
    const { results } = await against(
      () => new Response("a", { status: ++count === 20 ? 201 : 200 }),
      job,
    )
    expect(results[0]).toMatchObject({ wrong: 1, problem: "status 201 instead of 200: a" })
  })

  it("reports connections that it cannot open", async () => {
    const generator = startGenerator()
    using closed = Deno.listen({ hostname: "127.0.0.1", port: 0 })
    const port = closed.addr.port
    closed.close()
    const result = await generator.run({ ...job, port }).finally(generator.close)
    expect(result).toMatchObject({
      requests: 0,
      wrong: job.connections,
      problem: `cannot connect to 127.0.0.1:${port}`,
    })
  })
})
