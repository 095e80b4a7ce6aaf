import { describe, expect, it } from "@effect/vitest"
import { makeReport, refreshDocs, table, toMarkdown } from "./report.ts"
import type { Subject, Suite } from "./suite.ts"

const subject = (id: string, name: string, baseline?: string): Subject => ({
  id,
  name,
  baseline,
  start: () => Promise.reject(new Error("not started here")),
})
const subjects = [subject("raw", "raw Deno.serve"), subject("ours", "weir", "raw")]

const suite: Suite = {
  name: "http",
  description: "",
  metrics: [{ name: "server CPU per request", unit: "us" }, { name: "requests", unit: "1/s" }],
  ids: ["raw", "ours", "fastify"],
  prepare: () => Promise.reject(new Error("not prepared here")),
  targets: [
    { name: "ours / raw", limit: ["<=", 3.5], value: (read) => read("ours") / read("raw") },
    { name: "ours / raw (lead)", limit: ["<", 3], value: (read) => read("ours") / read("raw") },
    { name: "ours / Fastify", limit: ["<", 1], value: (read) => read("ours") / read("fastify") },
  ],
}

const round = (raw: number, ours: number) =>
  new Map([
    ["raw", { "server CPU per request": raw, requests: 60_000 }],
    ["ours", { "server CPU per request": ours, requests: 20_000 }],
  ])

const report = makeReport(
  suite,
  subjects,
  [round(10, 31), round(20, 60), round(11, 35.55)],
  {
    at: "2026-01-02T03:04:05.000Z",
    machine: "2 cores",
    method: "3 rounds of 2 s each",
    skipped: [{ name: "Fastify", why: "needs Node and npm on the PATH" }],
  },
)

describe("makeReport", () => {
  it("has the agreed shape", () => {
    expect(report).toEqual({
      suite: "http",
      at: "2026-01-02T03:04:05.000Z",
      machine: "2 cores",
      rounds: 3,
      method: "3 rounds of 2 s each",
      results: [
        {
          subject: "raw Deno.serve",
          metric: "server CPU per request",
          unit: "us",
          median: 11,
          min: 10,
          max: 20,
          ratioTo: {},
        },
        {
          subject: "raw Deno.serve",
          metric: "requests",
          unit: "1/s",
          median: 60_000,
          min: 60_000,
          max: 60_000,
          ratioTo: {},
        },
        {
          subject: "weir",
          metric: "server CPU per request",
          unit: "us",
          median: 35.5,
          min: 31,
          max: 60,
          ratioTo: { "raw Deno.serve": 3.1 },
        },
        {
          subject: "weir",
          metric: "requests",
          unit: "1/s",
          median: 20_000,
          min: 20_000,
          max: 20_000,
          ratioTo: {},
        },
      ],
      targets: [
        { name: "ours / raw", target: "<= 3.5", measured: 3.1, met: true },
        { name: "ours / raw (lead)", target: "< 3", measured: 3.1, met: false },
        { name: "ours / Fastify", target: "< 1", measured: null, met: null },
      ],
      skipped: [{ name: "Fastify", why: "needs Node and npm on the PATH" }],
    })
  })

  it("survives JSON unchanged", () => {
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
  })
})

describe("toMarkdown", () => {
  it("keeps a missed target as missed, and says what was not run and why", () => {
    expect(toMarkdown(report)).toBe(
      `2026-01-02; 2 cores; 3 rounds of 2 s each.

| subject        | server CPU per request, µs: median | min | max | ratio                | requests, 1/s |
| -------------- | ---------------------------------: | --: | --: | -------------------- | ------------: |
| raw Deno.serve |                                 11 |  10 |  20 | –                    |         60000 |
| weir           |                               35.5 |  31 |  60 | 3.1 × raw Deno.serve |         20000 |

| target            | limit  | measured |              |
| ----------------- | ------ | -------: | ------------ |
| ours / raw        | <= 3.5 |      3.1 | met          |
| ours / raw (lead) | < 3    |      3.1 | **missed**   |
| ours / Fastify    | < 1    |        – | not measured |

Not run: Fastify – needs Node and npm on the PATH`,
    )
  })
})

describe("a suite with several workloads", () => {
  const workloads = makeReport(
    {
      ...suite,
      name: "actors",
      metrics: [
        { name: "CPU per message", unit: "ns", workload: "tell" },
        { name: "CPU per ask", unit: "us", workload: "ask" },
        { name: "p99", unit: "us", workload: "ask" },
      ],
      targets: [{ name: "p99, µs", limit: ["<=", 3], value: (read) => read("ask-a", "p99") }],
    },
    [
      { ...subject("tell-a", "A"), workload: "tell" },
      { ...subject("ask-a", "A"), workload: "ask" },
      { ...subject("ask-b", "B", "ask-a"), workload: "ask" },
    ],
    [
      new Map<string, Record<string, number>>([
        ["tell-a", { "CPU per message": 90 }],
        ["ask-a", { "CPU per ask": 2, "p99": 4 }],
        ["ask-b", { "CPU per ask": 5, "p99": 9 }],
      ]),
    ],
    { at: "2026-01-02T03:04:05.000Z", machine: "2 cores", method: "1 round", skipped: [] },
  )

  it("has a table of its own for each, divided by its first metric", () => {
    expect(toMarkdown(workloads)).toBe(
      `2026-01-02; 2 cores; 1 round.

**tell**

| subject | CPU per message, ns: median | min | max | ratio |
| ------- | --------------------------: | --: | --: | ----: |
| A       |                          90 |  90 |  90 |     – |

**ask**

| subject | CPU per ask, µs: median | min | max | ratio   | p99, µs |
| ------- | ----------------------: | --: | --: | ------- | ------: |
| A       |                       2 |   2 |   2 | –       |       4 |
| B       |                       5 |   5 |   5 | 2.5 × A |       9 |

| target  | limit | measured |            |
| ------- | ----- | -------: | ---------- |
| p99, µs | <= 3  |        4 | **missed** |`,
    )
  })

  it("says in each row of the JSON which workload it belongs to", () => {
    expect(workloads.results.map(({ workload, subject, metric }) => [workload, subject, metric]))
      .toEqual([
        ["tell", "A", "CPU per message"],
        ["ask", "A", "CPU per ask"],
        ["ask", "A", "p99"],
        ["ask", "B", "CPU per ask"],
        ["ask", "B", "p99"],
      ])
  })
})

describe("a suite in which nobody is divided by anybody", () => {
  it("has no column for ratios, and shows the range of the metrics that ask for it", () => {
    const report = makeReport(
      {
        ...suite,
        metrics: [
          { name: "good", unit: "%", range: true },
          { name: "late", unit: "%", range: true },
          { name: "wait", unit: "ms" },
        ],
        targets: [],
      },
      [subject("a", "A"), subject("b", "B")],
      [
        new Map([
          ["a", { good: 90, late: 1, wait: 5 }],
          ["b", { good: 99, late: 0, wait: NaN }],
        ]),
        new Map([
          ["a", { good: 92, late: 3, wait: 7 }],
          ["b", { good: 99, late: 0, wait: NaN }],
        ]),
      ],
      { at: "2026-01-02T03:04:05.000Z", machine: "2 cores", method: "2 rounds", skipped: [] },
    )
    expect(toMarkdown(report)).toBe(
      `2026-01-02; 2 cores; 2 rounds.

| subject | good, %: median | min | max | late, % | wait, ms |
| ------- | --------------: | --: | --: | ------- | -------: |
| A       |              91 |  90 |  92 | 2 (1–3) |        6 |
| B       |              99 |  99 |  99 | 0       |        – |`,
    )
  })
})

describe("table", () => {
  it("sets numbers to the right and words to the left", () => {
    expect(table(["name", "n"], [["a", "1"], ["bc", "20"]])).toBe(
      `| name |   n |
| ---- | --: |
| a    |   1 |
| bc   |  20 |`,
    )
  })
})

describe("refreshDocs", () => {
  const document = `# A\n\n<!-- bench:http -->\n\nold\n\n<!-- /bench:http -->\n\nend\n`

  it("replaces what stands between the markers, and only that", () => {
    expect(refreshDocs(document, "http", "new"))
      .toBe(`# A\n\n<!-- bench:http -->\n\nnew\n\n<!-- /bench:http -->\n\nend\n`)
  })

  it("gives the same document when it runs twice", () => {
    const once = refreshDocs(document, "http", "new")
    expect(refreshDocs(once, "http", "new")).toBe(once)
  })

  it("names the markers that are missing", () => {
    expect(() => refreshDocs(document, "actors", "new"))
      .toThrow("add the lines <!-- bench:actors --> and <!-- /bench:actors -->")
  })
})
