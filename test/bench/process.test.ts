import { describe, expect, it } from "@effect/vitest"
import { freePort, listenerOn, listeningInodes, parseCpuTicks, startServer } from "./process.ts"

describe("parseCpuTicks", () => {
  it("adds user and system time, whatever the name of the process holds", () => {
    const stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 1 0 99"
    expect(parseCpuTicks(stat)).toBe(175)
  })
})

describe("listeningInodes", () => {
  it("takes the listening sockets of the port, not its connections", () => {
    const text = [
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1",
      "   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 222 1",
      "   2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1",
    ].join("\n")
    expect(listeningInodes(text, 8080)).toEqual(["111"])
  })
})

const serve = (port: number) => ["eval", `Deno.serve({ port: ${port} }, () => new Response("a"))`]

describe.skipIf(Deno.build.os !== "linux")("startServer", () => {
  it("waits until the server answers, and stops it", async () => {
    const port = freePort()
    const server = await startServer({
      name: "a server",
      command: [Deno.execPath(), ...serve(port)],
      port,
      path: "/",
      ready: (status) => status === 200,
    })
    expect(await listenerOn(port, server.pid)).toBe(server.pid)
    await server.stop()
    expect(await listenerOn(port, Deno.pid)).toBeUndefined()
  })

  it("finds the server behind a command that runs it as a child", async () => {
    const port = freePort()
    const [flag, code] = serve(port)
    const server = await startServer({
      name: "a server",
      command: ["/bin/sh", "-c", `"$0" "$1" "$2"; exit 0`, Deno.execPath(), flag!, code!],
      port,
      path: "/",
      ready: (status) => status === 200,
    })
    const pid = await listenerOn(port, server.pid)
    expect(pid).not.toBe(server.pid)
    Deno.kill(pid!, "SIGTERM")
    await server.ended
  })

  it("shows what a server said that ended before it answered", async () => {
    await expect(startServer({
      name: "a server",
      command: [Deno.execPath(), "eval", `console.error("port taken"); Deno.exit(3)`],
      port: freePort(),
      path: "/",
      ready: () => true,
    })).rejects.toThrow("a server ended with code 3 before it answered.\nport taken")
  })

  it("says that a command does not exist", async () => {
    await expect(startServer({
      name: "a server",
      command: ["./no-such-command"],
      port: freePort(),
      path: "/",
      ready: () => true,
    })).rejects.toThrow("Cannot run ./no-such-command")
  })
})
