/**
 * What the suite draws: the last round of each subject.
 */
import type { Result } from "../../load/job.ts"
import { type Panel, plot } from "../../load/svg.ts"
import { phasesOf, slots } from "./shape.ts"

interface Drawn {
  readonly name: string
  readonly result: Result
  readonly seconds: number
}

/** Good answers a second, beside what the pool can serve. */
export const goodputPlot = (subjects: ReadonlyArray<Drawn>): string =>
  plot(
    "Good answers per second: 0.8×, 10×, 0.8×, then 10× with queries of 400 ms",
    subjects.map(({ name, result, seconds }): Panel => {
      const step = result.windowMs / 1000
      const phases = phasesOf(seconds)
      const slowAt = phases.slice(0, 3).reduce((sum, { seconds }) => sum + seconds, 0)
      let at = 0
      const marks = phases.map(({ rate, seconds }, phase) => {
        const mark = { atSeconds: at, name: `${rate / 50}×${phase === 3 ? ", 400 ms" : ""}` }
        at += seconds
        return mark
      })
      return {
        title: name,
        unit: "1/s",
        stepSeconds: step,
        top: 60,
        marks,
        curves: [
          {
            name: "what the pool can serve",
            ink: "limit",
            kind: "dashed",
            values: result.series.map(({ atMs }) =>
              slots * 1000 / (atMs / 1000 >= slowAt ? 400 : 200)
            ),
          },
          {
            name: "good",
            ink: "good",
            kind: "area",
            values: result.series.map(({ good }) => good / step),
          },
          {
            name: "good",
            ink: "good",
            values: result.series.map(({ good }) => good / step),
          },
        ],
      }
    }),
    { columns: 3, width: 300, height: 160 },
  )
