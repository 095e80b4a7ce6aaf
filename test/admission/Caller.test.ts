import { describe, expect, it } from "@effect/vitest"
import { Caller } from "@weir/runtime"

const of = (tenant: string) => Caller.tenantOf({ id: "x", tenant, criticality: undefined })

describe("Caller.tenantOf", () => {
  it("is 0 for nobody, and never for somebody", () => {
    expect(Caller.tenantOf(undefined)).toBe(0)
    expect(of("")).toBeGreaterThan(0)
  })

  it("is the same for one tenant, whoever calls, and differs between 10,000 tenants", () => {
    expect(of("acme")).toBe(Caller.tenantOf({ id: "y", tenant: "acme", criticality: "critical" }))
    const hashes = new Set(Array.from({ length: 10_000 }, (_, i) => of(`tenant-${i}`)))
    expect(hashes.size).toBe(10_000)
  })

  it("knows nobody by default", () => {
    expect(Caller.nobody.of(new Request("http://x/"))).toBe(undefined)
  })
})
