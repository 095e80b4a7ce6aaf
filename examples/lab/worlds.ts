/**
 * The two worlds in which the same experiments run: virtual time, and a real PostgreSQL.
 *
 * @module
 */
import { Effect } from "effect"
import type { World } from "./burst.ts"

/** A query is a sleep. Run it under `VirtualClock.layer`, and it takes no time. */
export const virtual: World = { name: "virtual", query: (ms) => Effect.sleep(ms) }
