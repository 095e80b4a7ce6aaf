// Fastify on Node before the pool of 10. `fastify.js PORT CONTROL_PORT GUARD [cumulative|interval]`.
// @ts-ignore: a package of this folder alone, installed when the benchmark runs
import underPressure from "@fastify/under-pressure"
// @ts-ignore: a package of this folder alone, installed when the benchmark runs
import Fastify from "fastify"
import process from "node:process"
import { guards } from "./guards.js"
import { makePool } from "./pool.js"

const [port, controlPort, guardName, utilization] = process.argv.slice(2)
const pool = makePool()
const guard = guards[guardName]()
const answer = {
  type: "object",
  properties: { query: { type: "integer" }, ms: { type: "integer" } },
}

const app = Fastify()
if (utilization !== undefined) {
  app.register(underPressure, {
    maxEventLoopDelay: 100,
    maxEventLoopUtilization: 0.9,
    sampleInterval: 250,
    eventLoopUtilizationMode: utilization,
  })
}
app.register((app, _options, done) => {
  app.get("/ping", () => "pong")
  app.get("/query", { schema: { response: { 200: answer } } }, async (_request, reply) => {
    try {
      return await guard.run(() => pool.query())
    } catch (error) {
      const [status, reason] = guard.refused(error) ?? [500, String(error)]
      return reply.code(status).send({ reason })
    }
  })
  done()
})
await app.listen({ port: Number(port), host: "127.0.0.1" })
pool.control(Number(controlPort))
