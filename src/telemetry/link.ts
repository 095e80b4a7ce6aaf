import type * as http from "node:http"
import { Redacted } from "effect"
import type { Target } from "./settings.ts"

/** What the three exporters share: the connections, and the end of their use. */
export interface Link {
  readonly closed: boolean
  readonly headers: (target: Target) => () => Promise<Record<string, string>>
  readonly agent: (protocol: string) => Promise<http.Agent>
  /** Cuts every connection and ends the repetitions. */
  readonly close: () => void
}

/**
 * An exporter repeats a failed export for as long as its timeout (10 s), also after its shutdown,
 * and keeps the process alive meanwhile. It offers nothing to stop that; but it asks for its headers
 * before each attempt, and ends when they are not given.
 */
export const make = (): Link => {
  const agents = new Set<http.Agent>()
  let closed = false
  return {
    get closed() {
      return closed
    },
    headers: (target) => () =>
      closed
        ? Promise.reject(new Error("the export has ended"))
        : Promise.resolve({ ...Redacted.value(target.headers) }),
    agent: async (protocol) => {
      const { Agent } = protocol === "http:"
        ? await import("node:http")
        : await import("node:https")
      const agent = new Agent({ keepAlive: true })
      agents.add(agent)
      return agent
    },
    close: () => {
      closed = true
      for (const agent of agents) agent.destroy()
    },
  }
}
