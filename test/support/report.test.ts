import { describe, expect, it } from "@effect/vitest"
import { countsLine, readReport, sum } from "./report.ts"

const report = (parts: object): string =>
  JSON.stringify({
    numPassedTests: 3,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults: [],
    ...parts,
  })

describe("the last line of a test run", () => {
  it("names passed and failed tests, and skipped ones if there are any", () => {
    expect(countsLine(readReport(report({}), 0))).toBe("3 passed, 0 failed")
    expect(countsLine(readReport(report({ numPendingTests: 2, numTodoTests: 1 }), 0)))
      .toBe("3 passed, 0 failed, 3 skipped")
  })

  it("counts a run that ended without a report as a failure", () => {
    const counts = readReport("", 139)
    expect(countsLine(counts)).toBe("0 passed, 1 failed")
    expect(counts.problems[0]).toContain("exit code 139")
  })

  it("counts a file that could not be loaded as a failure and names it", () => {
    const broken = { name: "test/a.test.ts", status: "failed", assertionResults: [] }
    const counts = readReport(report({ testResults: [broken] }), 1)
    expect(countsLine(counts)).toBe("3 passed, 1 failed")
    expect(counts.problems).toEqual(["Test file failed outside a test: test/a.test.ts"])
  })

  it("does not count the file of a failed test twice", () => {
    const file = { name: "a", status: "failed", assertionResults: [{ status: "failed" }] }
    const counts = readReport(report({ numFailedTests: 1, testResults: [file] }), 1)
    expect(countsLine(counts)).toBe("3 passed, 1 failed")
    expect(counts.problems).toEqual([])
  })

  it("counts an unhandled error after green tests as a failure", () => {
    expect(countsLine(readReport(report({}), 1))).toBe("3 passed, 1 failed")
  })

  it("adds up the passes", () => {
    const all = [readReport(report({}), 0), readReport(report({ numFailedTests: 2 }), 1)]
    expect(countsLine(sum(all))).toBe("6 passed, 2 failed")
  })
})
