import { describe, expect, it } from "@effect/vitest"
import { Bulkhead, CancelReason, Task, Trace } from "@weir/runtime"
import { Effect } from "effect"
import { waterfall } from "../../src/observe/waterfall.ts"
import { eventsOf } from "./support.ts"

const program = Effect.gen(function* () {
  const pool = yield* Bulkhead.make({ name: "database", capacity: 1 })
  const read = (name: string, millis: number) =>
    Task.run(
      name,
      Effect.gen(function* () {
        yield* Effect.addFinalizer(() => Task.cleanup(`close ${name}`, Effect.sleep("10 millis")))
        yield* pool.use(Effect.sleep(millis))
      }),
    )
  const task = yield* Task.start(
    "checkout",
    Effect.all([read("user", 40), read("<cart> & co", 100)], { concurrency: "unbounded" }),
  )
  yield* Effect.sleep("90 millis")
  yield* task.cancel(CancelReason.ClientAbort)
}).pipe(Effect.scoped)

/** The bars of one kind as `[x, width]`, in the order of the rows. */
const bars = (svg: string, kind: string) =>
  [...svg.matchAll(
    new RegExp(`<rect class="${kind}" x="([\\d.]+)" y="[\\d.]+" width="([\\d.]+)"`, "g"),
  )]
    .map(([, x, width]) => [Number(x), Number(width)])
    .slice(0, -1) // the last one belongs to the legend

describe("the waterfall", () => {
  it("draws when each task ran, waited and cleaned up, to scale", async () => {
    const svg = Trace.svg(await eventsOf(program))
    // 100 ms are 480 units wide and begin at 210.
    expect(bars(svg, "run")).toEqual([[210, 432], [210, 240], [210, 432]])
    expect(bars(svg, "wait")).toEqual([[210, 192]])
    expect(bars(svg, "stop")).toEqual([[642, 48], [642, 48]])
    expect(bars(svg, "step")).toEqual([[402, 48], [642, 48]])
  })

  it("puts children and cleanup steps below their task, and says how each of them ended", async () => {
    const svg = Trace.svg(await eventsOf(program))
    const texts = [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map((match) => match[1])
    const rows = texts.slice(texts.indexOf("checkout"), texts.indexOf("runs"))
    expect(rows).toEqual([
      ...["checkout", "cancelled: client abort"],
      ...["user", "completed"],
      ...["close user", "cleanup"],
      ...["&lt;cart&gt; &amp; co", "cancelled: client abort"],
      ...["close &lt;cart&gt; &amp; co", "cleanup"],
    ])
  })

  it("draws what has not ended up to the last event, and says so", async () => {
    const events = await eventsOf(program)
    const svg = Trace.svg(events.filter(({ at }) => at < 90))
    expect(svg.match(/still running/g)).toHaveLength(2)
    expect(bars(svg, "stop")).toEqual([])
  })

  it("is a picture also of nothing, and of a moment", async () => {
    expect(Trace.svg([])).toContain("0 rows")
    const svg = Trace.svg(await eventsOf(Task.run("now", Effect.void)))
    expect(bars(svg, "run")).toEqual([[210, 2]])
    expect(svg).not.toContain("NaN")
  })

  it("follows the theme, and tells of events that it does not show", async () => {
    const svg = waterfall(await eventsOf(program), 7)
    expect(svg).toContain("prefers-color-scheme: dark")
    expect(svg).toContain("7 later events are not shown.")
  })
})
