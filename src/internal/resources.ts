import { Scope } from "effect"

/**
 * A scope as `Scope.makeUnsafe` makes it, from a place of our own. V8 decides for each place in the
 * code whether what it makes lives long. Those of Effect do at the start, while layers are built, so
 * all of them come to be allocated as old objects, and each then keeps its request or message alive
 * until the next full collection. Only the state is ever written, so the rest is shared.
 */
class Resources {
  state: Scope.Scope["state"] = initial
}

const { state: initial, ...shared } = Scope.makeUnsafe()
Object.assign(Resources.prototype, shared)

/** Makes the scope of a piece of work. */
export const makeResources = (): Scope.Closeable => new Resources() as unknown as Scope.Closeable
