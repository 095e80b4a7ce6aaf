/**
 * Processes under measurement: started on a free port, read through `/proc`, stopped by their id.
 */

/** A started server process. */
export interface ServerProcess {
  readonly pid: number
  readonly port: number
  /** Settles when it has ended. */
  readonly ended: Promise<void>
  /** Its exit code, once it has ended. */
  readonly code: Promise<number>
  /** SIGTERM, after 30 s SIGKILL; waits for its end. */
  readonly stop: () => Promise<void>
}

/** A mistake in what was asked for, or a subject that does not start: one sentence, no stack. */
export class BenchError extends Error {}

/** A loopback port that was free a moment ago. */
export const freePort = (): number => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 })
  return listener.addr.port
}

/** CPU time of a process so far, all its threads, user and system, in µs. */
export const cpuMicros = async (pid: number): Promise<number> =>
  parseCpuTicks(await Deno.readTextFile(`/proc/${pid}/stat`)) * (1_000_000 / TICKS_PER_SECOND)

// USER_HZ: part of Linux's interface to programs, 100 on every platform that Deno runs on.
const TICKS_PER_SECOND = 100

/** utime + stime of a line of `/proc/PID/stat`; the name in brackets may hold anything. */
export const parseCpuTicks = (stat: string): number => {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return Number(fields[11]) + Number(fields[12])
}

/** Resident memory of a process in MiB. */
export const residentMiB = async (pid: number): Promise<number> => {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(await Deno.readTextFile(`/proc/${pid}/status`))
  return Number(kib?.[1] ?? NaN) / 1024
}

/** The process that listens on a loopback port, among `root` and its descendants. */
export const listenerOn = async (port: number, root: number): Promise<number | undefined> => {
  const inodes = new Set<string>()
  for (const file of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    const text = await Deno.readTextFile(file).catch(() => "")
    for (const inode of listeningInodes(text, port)) inodes.add(`socket:[${inode}]`)
  }
  const pids = [root]
  for (const pid of pids) {
    const dir = `/proc/${pid}`
    try {
      for await (const { name } of Deno.readDir(`${dir}/fd`)) {
        const target = await Deno.readLink(`${dir}/fd/${name}`).catch(() => "")
        if (inodes.has(target)) return pid
      }
      for await (const { name } of Deno.readDir(`${dir}/task`)) {
        const children = await Deno.readTextFile(`${dir}/task/${name}/children`)
        pids.push(...children.split(" ").filter(Boolean).map(Number))
      }
    } catch {
      // It ended, or is not ours to look into.
    }
  }
  return undefined
}

/** The inodes of the sockets that listen on a port, in the text of `/proc/net/tcp`. */
export const listeningInodes = (text: string, port: number): ReadonlyArray<string> => {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`
  const LISTEN = "0A"
  return text.split("\n").map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(suffix) && fields[3] === LISTEN)
    .map((fields) => fields[9]!)
}

export interface StartOptions {
  readonly name: string
  readonly command: ReadonlyArray<string>
  readonly port: number
  /** Asked for until it answers with a status this accepts. */
  readonly path: string
  readonly ready: (status: number) => boolean
  readonly timeoutSeconds?: number
  readonly pollMs?: number
  readonly env?: Record<string, string>
}

/** Starts a server and waits until it answers. */
export const startServer = async (options: StartOptions): Promise<ServerProcess> => {
  const { name, command, port, timeoutSeconds = 30, pollMs = 20 } = options
  const child = spawn(command, options.env)
  const output = tail(child)
  let code: number | undefined
  const ended = child.status.then((it) => void (code = it.code))
  const stop = async () => {
    if (code === undefined) child.kill("SIGTERM")
    const timer = setTimeout(() => code === undefined && child.kill("SIGKILL"), 30_000)
    await ended
    clearTimeout(timer)
  }
  const until = performance.now() + timeoutSeconds * 1000
  while (true) {
    if (code !== undefined) {
      throw new BenchError(`${name} ended with code ${code} before it answered.\n${await output()}`)
    }
    const got = await fetch(`http://127.0.0.1:${port}${options.path}`).then(async (response) => {
      await response.body?.cancel()
      return response.status
    }, () => undefined)
    if (got !== undefined && options.ready(got)) {
      const exit = child.status.then((status) => status.code)
      return { pid: child.pid, port, ended, code: exit, stop }
    }
    if (performance.now() > until) {
      await stop()
      const last = got === undefined ? "no answer" : `status ${got}`
      throw new BenchError(
        `${name} was not ready after ${timeoutSeconds} s (${last}).\n${await output()}`,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

const spawn = (command: ReadonlyArray<string>, env: Record<string, string> = {}) => {
  try {
    return new Deno.Command(command[0]!, {
      args: command.slice(1),
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn()
  } catch (error) {
    throw new BenchError(
      `Cannot run ${command[0]}: ${error instanceof Error ? error.message : error}`,
    )
  }
}

/** Drains what a process prints, and keeps the end of it. */
const tail = (child: Deno.ChildProcess): () => Promise<string> => {
  let text = ""
  const drained = Promise.all([child.stdout, child.stderr].map(async (stream) => {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      text = (text + part).slice(-2000)
    }
  }))
  return () => drained.then(() => text)
}
