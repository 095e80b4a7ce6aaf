import { Effect } from "effect"
import type { Rpc } from "effect/rpc"
import * as CancelReason from "../task/CancelReason.ts"
import { ended } from "./cell.ts"
import type { Plan } from "./plan.ts"
import { reach, type Reachable } from "./inside.ts"
import { ask, tell } from "./sending.ts"
import type { AnyRef, Ref } from "./types.ts"

/** Where the engine finds on a reference what is known of its messages. */
const plansKey: unique symbol = Symbol.for("weir/actor/plans")

/** The messages that can be sent to it. */
export const messagesOf = (ref: AnyRef): Readonly<Record<string, Plan>> =>
  (ref as AnyRef & { readonly [plansKey]: Readonly<Record<string, Plan>> })[plansKey]

/** Makes references to the actors of one protocol. */
export type RefMaker<Rpcs extends Rpc.Any> = (
  key: string,
  target: Reachable,
) => Ref<Rpcs>

/** Holds the methods of a protocol; its own field cannot be mistaken for a message. */
interface Sender {
  readonly [reach]: Reachable
}

type Method = (payload: unknown, options: never) => Effect.Effect<unknown, unknown>

/**
 * The methods of a protocol stand on a prototype, made once: a reference is a small object, so that
 * asking a keyed actor for it costs next to nothing. Each is a getter of a function that needs no
 * `this`, so that `const { Add } = ref.tell` works.
 */
export const refMaker = <Rpcs extends Rpc.Any>(
  plans: Readonly<Record<string, Plan>>,
): RefMaker<Rpcs> => {
  const sender = (method: (plan: Plan, target: Reachable) => Method) => {
    class Methods implements Sender {
      readonly [reach]: Reachable
      constructor(target: Reachable) {
        this[reach] = target
      }
    }
    for (const plan of Object.values(plans)) {
      Object.defineProperty(Methods.prototype, plan.tag, {
        get(this: Sender) {
          return method(plan, this[reach])
        },
        enumerable: true,
      })
    }
    return Methods
  }
  const Tells = sender((plan, target) => (payload, options) =>
    tell(target, plan, payload, options, "tell")
  )
  const Offers = sender((plan, target) => (payload, options) =>
    tell(target, plan, payload, options, "offer")
  )
  const Asks = sender((plan, target) => (payload, options) => ask(target, plan, payload, options))
  class Reference implements AnyRef {
    readonly key: string
    readonly [reach]: Reachable
    private tells: Sender | undefined = undefined
    private offers: Sender | undefined = undefined
    private asks: Sender | undefined = undefined

    constructor(key: string, target: Reachable) {
      this.key = key
      this[reach] = target
    }

    get path(): string {
      return this[reach].path
    }
    get tell(): Sender {
      return this.tells ??= new Tells(this[reach])
    }
    get offer(): Sender {
      return this.offers ??= new Offers(this[reach])
    }
    get ask(): Sender {
      return this.asks ??= new Asks(this[reach])
    }
    get stop(): Effect.Effect<void> {
      return Effect.suspend(() => {
        const cell = this[reach].peek()
        return cell === undefined ? Effect.void : ended(cell, {
          ending: "stopped",
          reason: CancelReason.Requested("stop"),
          drainMs: cell.home.settings.graceMs,
        })
      })
    }
    get terminated(): AnyRef["terminated"] {
      return Effect.callback((resume) => {
        const cell = this[reach].peek()
        if (cell === undefined) {
          return resume(
            Effect.succeed({ path: this.path, reason: "not-running", cause: undefined }),
          )
        }
        const remove = cell.onTerminated((terminated) => resume(Effect.succeed(terminated)))
        return Effect.sync(remove)
      })
    }
    get account(): AnyRef["account"] {
      return Effect.sync(() => this[reach].peek()?.mailbox.account())
    }
  }
  Object.defineProperty(Reference.prototype, plansKey, { value: plans })
  return (key, target) => new Reference(key, target) as never
}
