import { Context } from "effect"
import { FindMyWay, type HttpRouter } from "effect/http"
import type { Door } from "./door.ts"

/** A request that has come to a door. */
export type Found = FindMyWay.FindResult<Door>

/**
 * Finds the endpoint of a request before there is a fiber for it: a refusal then needs none, and what
 * is admitted starts in the context of its handler. It knows every route, because one that is no
 * endpoint of ours may come before one that is; those and whatever it does not know are left to
 * Effect's router.
 */
export class Front {
  private readonly finder: FindMyWay.Router<Door | undefined>
  private open = true

  constructor(config: Partial<FindMyWay.RouterConfig>) {
    this.finder = FindMyWay.make(config)
  }

  /** The same paths as Effect's router makes of a route. */
  add(method: string, path: HttpRouter.PathInput, door: Door | undefined): void {
    const on = (path: HttpRouter.PathInput) =>
      method === "*" ? this.finder.all(path, door) : this.finder.on(method, path, door)
    on(path)
    if (path.endsWith("/*")) on(path.slice(0, -2) as HttpRouter.PathInput)
  }

  /** Leaves everything to Effect's router from now on. */
  close(): void {
    this.open = false
  }

  find(method: string, path: string): Found | undefined {
    if (!this.open) return undefined
    const found = this.finder.find(method, path)
    return found?.handler === undefined ? undefined : found as Found
  }
}

/** The front of the service that is being served, if it has one. */
export const CurrentFront: Context.Reference<Front | undefined> = Context.Reference<
  Front | undefined
>("weir/edge/Front", { defaultValue: () => undefined })
