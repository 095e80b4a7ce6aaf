// Hono on Deno before the pool of 10. `hono.js PORT CONTROL_PORT`.
// @ts-ignore: a package of this folder alone, installed when the benchmark runs
import { Hono } from "hono"
import { makePool } from "./pool.js"

const pool = makePool()
const app = new Hono()
app.get("/ping", (c) => c.text("pong"))
app.get("/query", async (c) => c.json(await pool.query()))
Deno.serve({ port: Number(Deno.args[0]), hostname: "127.0.0.1", onListen: () => {} }, app.fetch)
pool.control(Number(Deno.args[1]))
