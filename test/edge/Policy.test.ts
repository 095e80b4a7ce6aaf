import { describe, expect, it } from "@effect/vitest"
import { Policy } from "@weir/runtime"

describe("Policy.resolve", () => {
  it("fills in every default", () => {
    expect(Policy.resolve("shop.look")).toEqual({
      deadlineMs: 30_000,
      uses: [],
      expectedMs: undefined,
      auth: "none",
      async: "never",
      cleanupMs: 5000,
    })
  })

  it("lets the later policy win field by field, and not by leaving a field undefined", () => {
    // As JavaScript, or a program without exactOptionalPropertyTypes, may well pass it.
    const blank = { deadline: undefined, uses: undefined } as unknown as Policy.Policy
    expect(Policy.resolve(
      "shop.look",
      { deadline: "2 seconds", uses: ["database"], async: "allowed" },
      { expected: "10 millis", async: "always" },
      blank,
    )).toMatchObject({ deadlineMs: 2000, uses: ["database"], expectedMs: 10, async: "always" })
  })

  it("takes one ticket for a name that stands twice", () => {
    expect(Policy.resolve("shop.look", { uses: ["database", "mail", "database"] }).uses)
      .toEqual(["database", "mail"])
  })

  it("names the endpoint and the field that is not positive", () => {
    expect(() => Policy.resolve("shop.look", { deadline: 0 })).toThrow(
      "Policy of shop.look: deadline must be longer than zero. Leave it out for the default.",
    )
    expect(() => Policy.resolve("shop.look", { cleanup: -1 })).toThrow("cleanup")
  })

  it("names the endpoint, the field and the form of what is no duration", () => {
    for (const field of ["deadline", "cleanup", "expected"] as const) {
      const policy = { [field]: "5 parsecs" } as unknown as Policy.Policy
      expect(() => Policy.resolve("shop.look", policy)).toThrow(
        `Policy of shop.look: ${field} is "5 parsecs", which is no duration. Write it as ` +
          '"500 millis", "2 seconds" or "1 minute", or as a number of milliseconds.',
      )
    }
  })

  it("says that uses must be an array", () => {
    const policy = { uses: "database" } as unknown as Policy.Policy
    expect(() => Policy.resolve("shop.look", policy)).toThrow(
      'Policy of shop.look: uses is "database", but it must be an array of names. Write ' +
        'uses: ["database"].',
    )
  })

  it("takes the class of the later policy, and names the ones that there are", () => {
    expect(
      Policy.resolve("shop.look", { priority: "sheddable" }, { priority: "critical-plus" })
        .priority,
    ).toBe("critical-plus")
    const policy = { priority: "urgent" } as unknown as Policy.Policy
    expect(() => Policy.resolve("shop.look", policy)).toThrow(
      'Policy of shop.look: priority is "urgent", which is no class. Use "critical-plus", ' +
        '"critical", "sheddable-plus" or "sheddable".',
    )
  })
})
