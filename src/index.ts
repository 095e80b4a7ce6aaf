/**
 * Weir: bounded, supervised services for Effect on Deno. Table of contents, in data-flow order.
 *
 * @module
 */
export * as Bounded from "./bounded/Bounded.ts"
export * as Refused from "./bounded/Refused.ts"
export * as Saturation from "./bounded/Saturation.ts"
export * as Feasibility from "./bounded/Feasibility.ts"
export * as ServiceTime from "./bounded/ServiceTime.ts"
export * as Codel from "./bounded/Codel.ts"
export * as Bulkhead from "./pool/Bulkhead.ts"
export * as ResourcePool from "./pool/ResourcePool.ts"
