/** Reads vitest's JSON report; the exit code has the last word, so a crash can never look green. */
export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly problems: ReadonlyArray<string>
}

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly assertionResults: ReadonlyArray<{ readonly status: string }>
  }>
}

/** A file that failed without a failed test (it could not be loaded) counts as one failure. */
const brokenFiles = (report: Report): ReadonlyArray<string> =>
  report.testResults
    .filter((file) => file.status === "failed")
    .filter((file) => !file.assertionResults.some((test) => test.status === "failed"))
    .map((file) => file.name)

export const readReport = (json: string, exitCode: number): Counts => {
  if (json.trim() === "") {
    return exitCode === 0 ? { passed: 0, failed: 0, skipped: 0, problems: [] } : {
      passed: 0,
      failed: 1,
      skipped: 0,
      problems: [`The test run ended with exit code ${exitCode} before it wrote a report.`],
    }
  }
  const report: Report = JSON.parse(json)
  const broken = brokenFiles(report)
  const failed = report.numFailedTests + broken.length
  const unexplained = exitCode !== 0 && failed === 0
  return {
    passed: report.numPassedTests,
    failed: unexplained ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
    problems: [
      ...broken.map((file) => `Test file failed outside a test: ${file}`),
      ...(unexplained
        ? [`No test failed, but the run ended with exit code ${exitCode} (see the errors above).`]
        : []),
    ],
  }
}

export const sum = (all: ReadonlyArray<Counts>): Counts => ({
  passed: all.reduce((n, counts) => n + counts.passed, 0),
  failed: all.reduce((n, counts) => n + counts.failed, 0),
  skipped: all.reduce((n, counts) => n + counts.skipped, 0),
  problems: all.flatMap((counts) => counts.problems),
})

export const countsLine = (counts: Counts): string =>
  `${counts.passed} passed, ${counts.failed} failed` +
  (counts.skipped > 0 ? `, ${counts.skipped} skipped` : "")
