/** PLACEHOLDER */
export type Criticality = "critical-plus" | "critical" | "sheddable-plus" | "sheddable"
