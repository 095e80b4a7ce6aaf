/**
 * The report: one HTML file with everything in it, which needs nothing else to be read.
 *
 * @module
 */
import { type Plot, plots } from "./plots.ts"
import type { Results } from "./results.ts"
import { verdicts } from "./say.ts"
import { escape } from "./svg.ts"
import { type Table, tables } from "./table.ts"
import { ms } from "./words.ts"

const style = `
:root{color-scheme:light dark;--back:#fff;--ink:#1c2630;--soft:#57636e;--edge:#dfe4e8;--band:#f5f7f8;--mark:#0072b2}
@media (prefers-color-scheme:dark){:root{--back:#11161b;--ink:#e6ebf0;--soft:#a3afba;--edge:#2b343d;--band:#181f26;--mark:#56b4e9}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1rem;background:var(--back);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem}
p.soft,figcaption,p.over,dt{color:var(--soft)}
.verdicts{padding:0;margin:0;list-style:none;max-width:48rem}.verdicts li{border-left:4px solid var(--edge);margin:.6rem 0;padding:.1rem 0 .1rem .8rem}
.verdicts li.first{border-color:var(--mark);font-weight:600}
.wide{overflow-x:auto;margin-bottom:1.2rem}table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;white-space:nowrap}
p.over{font-size:.85rem;margin:.3rem 0}th{vertical-align:bottom;white-space:normal;text-align:right;font-weight:600}
th,td{padding:.2rem .55rem;border-bottom:1px solid var(--edge);text-align:right}th.word,td.word{text-align:left}
tr.lead td{border-top:2px solid var(--edge)}tr.real td{background:var(--band)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1rem}
figure{margin:0;border:1px solid var(--edge);border-radius:6px;overflow:hidden}figure svg{display:block;width:100%;height:auto}
figcaption{padding:.4rem .8rem .7rem;font-size:.9rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:0}dd{margin:0;overflow-wrap:anywhere}
@media (max-width:40rem){th,td{padding:.2rem .35rem}th.word,td.word{white-space:normal;padding-left:0}}`

const list = (results: Results): string =>
  `<ul class="verdicts">${
    verdicts(results).map((it, i) => `<li${i === 0 ? ' class="first"' : ""}>${escape(it)}</li>`)
      .join("\n")
  }</ul>`

const table = ({ head, rows, title, words }: Table): string => {
  const word = (column: number) => column < words ? ' class="word"' : ""
  const kind = (row: ReadonlyArray<string>) =>
    [row[0] === "" ? "" : "lead", row.includes("real") ? "real" : ""].filter(Boolean).join(" ")
  // The title stays where it is when the table is wider than the screen, and is moved to be read.
  return `<p class="over">${escape(title)}</p>
<div class="wide" tabindex="0" role="region" aria-label="${escape(title)}"><table>
<thead><tr>${
    head.map((it, i) => `<th scope="col"${word(i)}>${escape(it)}</th>`).join("")
  }</tr></thead>
<tbody>
${
    rows.map((row) =>
      `<tr class="${kind(row)}">${
        head.map((_, i) => `<td${word(i)}>${escape(row[i] ?? "")}</td>`).join("")
      }</tr>`
    ).join("\n")
  }
</tbody></table></div>`
}

const figure = ({ caption, svg }: Plot): string =>
  `<figure>${svg.trim()}<figcaption>${escape(caption)}</figcaption></figure>`

/** The plots, real time beside virtual time. */
const figures = (results: Results): string => {
  const real = plots(results, "real")
  return plots(results, "virtual").flatMap((plot) => {
    const other = real.find(({ name }) => name === `${plot.name}-real`)
    return other === undefined ? [plot] : [plot, other]
  }).map(figure).join("\n")
}

const facts = ({ at, parameters, versions, way }: Results): string => {
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["Run", at.replace("T", " ").replace(/\.\d+Z$/, " UTC")],
    [
      "Versions",
      `Weir ${versions.weir}, Effect ${versions.effect}, Deno ${versions.deno}, ${versions.system}`,
    ],
    ["Requests", String(parameters.requests)],
    ["Pool", String(parameters.pool)],
    ["Query", ms(parameters.queryMs)],
    ["Deadline", ms(parameters.deadlineMs)],
    ["Bounded line (D)", String(parameters.queue)],
    ["Seed", String(parameters.seed)],
    [
      "Real time",
      way === undefined
        ? "not run"
        : `PostgreSQL ${way.version} (${way.server}), round trip ${way.roundTripMs.toFixed(1)} ms`,
    ],
  ]
  return `<dl>${
    rows.map(([name, value]) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`).join("\n")
  }</dl>`
}

/** The whole page. */
export const report = (results: Results): string => {
  const { parameters } = results
  const title =
    `${parameters.requests} requests, a pool of ${parameters.pool}, a query of ${parameters.queryMs} ms`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title><style>${style}</style></head><body>
<h1>${escape(title)}</h1>
<p class="soft">${escape(results.at.slice(0, 10))}. The same code in virtual time${
    results.way === undefined ? "" : " and on a real PostgreSQL"
  }, beside what pencil and paper predict.</p>
<h2>What it says</h2>
${list(results)}
<h2>Predicted and measured</h2>
${tables(results).map(table).join("\n")}
<h2>To see it</h2>
<div class="plots">
${figures(results)}
</div>
<h2>The run</h2>
${facts(results)}
</body></html>
`
}
