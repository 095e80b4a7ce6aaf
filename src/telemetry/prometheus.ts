import type { Definition } from "./definitions.ts"
import type { Family, Sample } from "./series.ts"

/** A number as Prometheus reads it. */
const number = (value: number): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

const escapeHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")
const escapeLabel = (text: string): string => escapeHelp(text).replaceAll('"', '\\"')

/** An empty value means the same as no label at all. */
const labels = (definition: Definition, sample: Sample, le?: string): string => {
  const pairs = definition.labels.flatMap((name, i) => {
    const value = sample.labels[i] ?? ""
    return value === "" ? [] : [`${name}="${escapeLabel(value)}"`]
  })
  if (le !== undefined) pairs.push(`le="${le}"`)
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`
}

const lines = (definition: Definition, sample: Sample): ReadonlyArray<string> => {
  const { name } = definition
  if (sample.buckets === undefined) {
    return [`${name}${labels(definition, sample)} ${number(sample.value)}`]
  }
  let count = 0
  const bounds = [...(definition.buckets ?? []), Infinity]
  const buckets = bounds.map((bound, i) => {
    count += sample.buckets?.[i] ?? 0
    return `${name}_bucket${labels(definition, sample, number(bound))} ${count}`
  })
  return [
    ...buckets,
    `${name}_sum${labels(definition, sample)} ${number(sample.value)}`,
    `${name}_count${labels(definition, sample)} ${count}`,
  ]
}

/** The families in the Prometheus text format 0.0.4; a metric without samples is left out. */
export const text = (families: ReadonlyArray<Family>): string =>
  families.filter(({ samples }) => samples.length > 0).map(({ definition, samples }) =>
    [
      `# HELP ${definition.name} ${escapeHelp(definition.help)}`,
      `# TYPE ${definition.name} ${definition.type}`,
      ...samples.flatMap((sample) => lines(definition, sample)),
    ].join("\n") + "\n"
  ).join("")
