import type { Criticality } from "./Criticality.ts"

/** PLACEHOLDER */
export interface Caller {
  readonly id: string
  readonly tenant: string
  readonly criticality: Criticality | undefined
}
