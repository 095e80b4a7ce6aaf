/**
 * Who sends a request, as far as admission has to know.
 *
 * @module
 */
import { Context } from "effect"
import type { Criticality } from "./Criticality.ts"

/**
 * A caller whose identity has been proven. It never comes from a raw header: who may name his own
 * class is always critical.
 *
 * @category models
 * @since 0.1.0
 */
export interface Caller {
  /** Who it is, for people. */
  readonly id: string
  /** Whom the work is accounted to: callers of one tenant share its turn. */
  readonly tenant: string
  /** The most that any of its requests is worth; `undefined` does not limit the endpoint's class. */
  readonly criticality: Criticality | undefined
}

/**
 * Tells who sent a request. Synchronous, and asked at most once for each request, only if admission
 * has to know.
 *
 * @category models
 * @since 0.1.0
 */
export interface Callers {
  /** The caller; `undefined` when nobody is known. */
  readonly of: (source: Request) => Caller | undefined
}

/**
 * Who tells. By default nobody is known, and all requests have the class of their endpoint.
 *
 * @category services
 * @since 0.1.0
 */
export const Callers: Context.Reference<Callers> = Context.Reference<Callers>(
  "weir/admission/Callers",
  { defaultValue: () => nobody },
)

/**
 * Knows nobody.
 *
 * @category constructors
 * @since 0.1.0
 */
export const nobody: Callers = { of: () => undefined }

/**
 * The tenant as a number: 0 for nobody, else a 32-bit hash (FNV-1a) above 0. Two tenants of the same
 * hash take turns as one.
 *
 * @category accessors
 * @since 0.1.0
 */
export const tenantOf = (caller: Caller | undefined): number => {
  if (caller === undefined) return 0
  const { tenant } = caller
  let hash = 0x811c9dc5
  for (let i = 0; i < tenant.length; i++) hash = Math.imul(hash ^ tenant.charCodeAt(i), 0x01000193)
  return hash >>> 0 || 1
}
