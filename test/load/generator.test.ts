import { afterAll, describe, expect, it } from "@effect/vitest"
import * as hdr from "hdr-histogram-js"
import { startGenerator } from "./generator.ts"
import type { Job, Stream } from "./job.ts"

const generator = startGenerator()
const servers: Array<Deno.HttpServer> = []
afterAll(async () => {
  await generator.close()
  await Promise.all(servers.map((server) => server.shutdown()))
})

const serve = (handler: Deno.ServeHandler): number => {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, handler)
  servers.push(server)
  return (server.addr as Deno.NetAddr).port
}

const job = (port: number, stream: Partial<Stream>, more: Partial<Job> = {}): Job => ({
  port,
  seed: 1,
  arrivals: "constant",
  streams: [{
    name: "a",
    path: "/",
    deadlineMs: 5000,
    phases: [{ seconds: 0.5, rate: 100 }],
    ...stream,
  }],
  ...more,
})

describe("the generator on real sockets", () => {
  it("sends every request of the schedule, counts every answer, keeps a histogram", async () => {
    let count = 0
    const port = serve(() => Response.json({ number: ++count }))
    const result = await generator.run(job(port, { distinct: "number" }))
    const [part] = result.parts
    expect(count).toBe(50)
    expect([part!.calls, part!.attempts, part!.good]).toEqual([50, 50, 50])
    expect(result.problem).toBeNull()
    expect(result.lateness.count).toBe(50)
    expect(hdr.decodeFromCompressedBase64(part!.histogram).totalCount).toBe(50)
    expect(result.series.reduce((sum, { good }) => sum + good, 0)).toBe(50)
    expect(result.arrived.reduce((sum, { calls }) => sum + calls, 0)).toBe(50)
  })

  it("does not wait for answers: the requests of a stuck server are all there", async () => {
    let reached = 0
    let release = () => {}
    const gate = new Promise<void>((resolve) => release = resolve)
    const port = serve(async () => {
      if (++reached === 50) release()
      await gate
      return new Response("late")
    })
    const result = await generator.run(job(port, {}))
    expect(result.parts[0]!.good).toBe(50)
    expect(result.connections.most).toBe(50)
    // Latency counts from the intended moment: the first one waited for all the others.
    expect(result.parts[0]!.latency.max).toBeGreaterThan(480)
  })

  it("closes the socket at the client's deadline, and the server sees it", async () => {
    let aborted = 0
    const port = serve((request) =>
      new Promise((resolve) => {
        request.signal.addEventListener("abort", () => {
          aborted++
          resolve(new Response())
        })
      })
    )
    const result = await generator.run(
      job(port, { deadlineMs: 100, phases: [{ seconds: 0.1, atOnce: 10 }] }),
    )
    expect(result.parts[0]!.outcomes.timeout).toBe(10)
    await expect.poll(() => aborted).toBe(10)
  })

  it("lets a share of the clients leave before their deadline", async () => {
    const port = serve(() => new Promise(() => {}))
    const result = await generator.run(job(port, {
      deadlineMs: 200,
      leave: { share: 0.5, afterMs: [10, 50] },
      phases: [{ seconds: 0.1, atOnce: 200 }],
    }))
    const { left, timeout } = result.parts[0]!.outcomes
    expect(left + timeout).toBe(200)
    expect(Math.abs(left - 100)).toBeLessThan(30)
    const server = servers.pop()! // its requests never end
    void server
  })

  it("tries again as it was told, and counts the call once", async () => {
    let asked = 0
    const port = serve(() =>
      ++asked % 3 === 0
        ? new Response("ok")
        : Response.json({ reason: "QueueFull" }, { status: 503 })
    )
    const result = await generator.run(job(port, {
      retry: { kind: "fixed", retries: 5, pauseMs: 5 },
      phases: [{ seconds: 0.2, rate: 5 }],
    }))
    const [part] = result.parts
    expect([part!.calls, part!.good, part!.attempts]).toEqual([1, 1, 3])
    expect(part!.refusals).toEqual({ QueueFull: 2 })
  })

  it("tells a body that is not what it must be, and a number that comes twice", async () => {
    const port = serve(() => Response.json({ number: 1 }))
    const twice = await generator.run(
      job(port, { distinct: "number", phases: [{ seconds: 0.1, atOnce: 2 }] }),
    )
    expect([twice.parts[0]!.good, twice.parts[0]!.outcomes.wrong]).toEqual([1, 1])
    expect(twice.problem).toBe("number 1 answered twice")
    const missing = await generator.run(
      job(port, { includes: ["name"], phases: [{ seconds: 0.1, atOnce: 1 }] }),
    )
    expect(missing.problem).toBe('body without name: {"number":1}')
  })

  it("says that nobody listens, and that it had no connection left", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 })
    const { port } = listener.addr
    listener.close()
    const burst = { phases: [{ seconds: 0.1, atOnce: 5 }] }
    const nobody = await generator.run(job(port, burst))
    expect(nobody.parts[0]!.outcomes.unreachable).toBe(5)
    const answering = serve(() => new Response("ok"))
    const bounded = await generator.run(job(answering, burst, { connections: 2 }))
    expect(bounded.parts[0]!.outcomes.unsent).toBe(3)
    expect(bounded.valid).toBe(false)
  })

  it("changes the subject in the middle of a run, and says when that failed", async () => {
    let slow = false
    const port = serve((request) => {
      if (request.method === "POST") slow = new URL(request.url).pathname === "/slow"
      return new Response(slow ? "slow" : "quick", {
        status: request.url.endsWith("/no") ? 500 : 200,
      })
    })
    const controls = [{ atMs: 100, path: "/slow" }, { atMs: 150, path: "/no" }]
    const result = await generator.run(job(port, {}, { controls }))
    expect(result.controlsFailed).toBe(1)
    expect(result.problem).toBe("a control failed: status 500")
  })

  it("writes a record for every attempt", async () => {
    const port = serve(() => new Response("ok"))
    const records = await Deno.makeTempFile()
    await generator.run(
      job(port, { name: 'a "b", c', phases: [{ seconds: 0.1, atOnce: 3 }] }, { records }),
    )
    const lines = (await Deno.readTextFile(records)).trim().split("\n")
    await Deno.remove(records)
    expect(lines.length).toBe(4)
    expect(lines[0]).toBe(
      "call,attempt,stream,phase,intended_ms,sent_ms,ended_ms,outcome,status,reason",
    )
    expect(lines[1]).toMatch(/^0,0,"a ""b"", c",0,0\.000,[\d.]+,[\d.]+,good,200,$/)
  })
})
