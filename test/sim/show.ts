/** From results to what is shown. */
import { table } from "../bench/report.ts"
import type { Result } from "./ledger.ts"

const percent = (share: number): string => (100 * share).toFixed(share < 0.0995 ? 2 : 1)

const seconds = (ms: number): string => ms === Infinity ? "never" : (ms / 1000).toFixed(1)

/** The phase that shows whether all is well again: the last one, if what was before it is over. */
const recoveryOf = ({ phases }: Result): string => {
  const after = phases.find(({ name }) => name === "after")
  return after === undefined ? "–" : seconds(after.recoveryMs)
}

/** One line for each run. */
export const comparison = (results: ReadonlyArray<Result>): string =>
  table(
    [
      "scenario",
      "policy",
      "% of oracle",
      "served",
      "late %",
      "wasted %",
      "false refusals",
      "recovery s",
    ],
    results.map((result) => [
      result.scenario.id,
      result.policy,
      result.percent === undefined
        ? "–"
        : `${result.possible!.exact ? "" : "≥ "}${result.percent.toFixed(1)}`,
      String(result.total.ok),
      percent(result.total.lateShare),
      percent(result.total.wastedShare),
      String(result.total.falseRefusals),
      recoveryOf(result),
    ]),
  )

/** One line for each phase of a run. */
export const byPhase = (result: Result): string =>
  table(
    ["phase", "sent", "served", "possible", "refused", "late", "failed", "p99 ms", "recovery s"],
    result.phases.map((phase) => [
      phase.name,
      String(phase.sent),
      String(phase.ok),
      String(phase.possible ?? "–"),
      String(Object.values(phase.refused).reduce((sum, n) => sum + n, 0)),
      String(phase.late),
      String(phase.failed),
      phase.latencyP99.toFixed(0),
      seconds(phase.recoveryMs),
    ]),
  )
