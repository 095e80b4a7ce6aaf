/** The policies that are compared, each with its documented defaults unless it says otherwise. */
import * as Codel from "../../src/bounded/Codel.ts"
import { Climbing } from "../../src/pool/climbing.ts"
import type { No, Policy } from "./control.ts"
import { onFifo } from "./fifo.ts"
import { limited } from "./limited.ts"
import { weir, weirFull, weirMargin } from "./ours.ts"
import { Aimd } from "./policies/aimd.ts"
import { Dagor } from "./policies/dagor.ts"
import { EnvoyGradient } from "./policies/envoy.ts"
import { FollyCodel } from "./policies/folly.ts"
import { Gradient2 } from "./policies/gradient2.ts"
import { Vegas } from "./policies/vegas.ts"
import { criticalities, meanOf } from "./scenario.ts"

const shed: No = { reason: "Shed", retryAfterMs: 0 }
const full: No = { reason: "QueueFull", retryAfterMs: 0 }

/** 10 run and 30 wait: the best bound for 200 ms and a deadline of a second, and then left alone. */
const tuned = 40

const bounded = (_now: number, inside: number): No | undefined => inside >= tuned ? full : undefined

/** All of them; ours first. */
export const policies: ReadonlyArray<Policy> = [
  weir,
  weirFull,
  weirMargin,
  onFifo(
    "none",
    "a pool without a bound, work goes on when the client has left",
    false,
    () => ({}),
  ),
  onFifo(
    "static",
    "a bound tuned for 200 ms (10 run, 30 wait), work goes on when the client has left",
    false,
    () => ({ enter: bounded }),
  ),
  onFifo("static-cancel", "the same bound; who leaves is cancelled", true, () => ({
    enter: bounded,
  })),
  onFifo("codel", "CoDel at dequeue with folly's 5 and 100 ms; cancels", true, () => {
    const codel = new FollyCodel()
    return { dequeue: (now, waitMs) => codel.sheds(now, waitMs) ? shed : undefined }
  }),
  onFifo(
    "codel-scaled",
    "CoDel with a target of one departure, 20 ms here; cancels",
    true,
    (world) => {
      const codel = Codel.make()
      const service = meanOf(world.scenario.pool.serviceMs)
      return {
        dequeue: (now, waitMs, { capacity }) =>
          codel.dequeued(now, waitMs, service, capacity) ? shed : undefined,
        drained: () => codel.drained(),
      }
    },
  ),
  limited("aimd", "concurrency-limits AIMD; cancels", () => new Aimd()),
  limited("vegas", "concurrency-limits Vegas; cancels", ({ random }) => new Vegas({ random })),
  limited("gradient2", "concurrency-limits Gradient2; cancels", () => new Gradient2()),
  limited(
    "envoy",
    "Envoy's gradient controller; cancels",
    ({ random }) => new EnvoyGradient({ random }),
  ),
  limited(
    "climbing",
    "the limit of our dependencies, 10 at first, 1 to 200; cancels",
    () => new Climbing({ initial: 10, min: 1, max: 200 }),
  ),
  onFifo("dagor", "a threshold on priorities, moved by the wait in line; cancels", true, () => {
    const dagor = new Dagor()
    return {
      enter: (now, _inside, call) => {
        const urgency = criticalities.indexOf(call.sender.class ?? "critical")
        const user = Math.imul(call.operation + 1, 0x9e3779b1) >>> 8
        return dagor.admits(now, Dagor.level(urgency, user)) ? undefined : shed
      },
      dequeue: (_now, waitMs) => {
        dagor.waited(waitMs)
        return undefined
      },
    }
  }),
]
