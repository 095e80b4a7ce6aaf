import { type Attributes, type HrTime, ValueType } from "@opentelemetry/api"
import type { Resource } from "@opentelemetry/resources"
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type MetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics"
import type { Clock } from "effect"
import { version } from "../internal/version.ts"
import type { Metrics } from "./Metrics.ts"
import type { Family, Sample } from "./series.ts"

const hrTime = (ms: number): HrTime => [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)]

const histogram = (buckets: ReadonlyArray<number>, family: Family, sum: number) => ({
  buckets: { boundaries: [...family.definition.buckets ?? []], counts: [...buckets] },
  sum,
  count: buckets.reduce((total, n) => total + n, 0),
})

const data = (family: Family, startTime: HrTime, endTime: HrTime): MetricData => {
  const { definition, samples } = family
  const attributes = (sample: Sample): Attributes =>
    Object.fromEntries(
      definition.labels.map((name, i) => [name, sample.labels[i] ?? ""])
        .filter(([, value]) => value !== ""),
    )
  const points = <A>(value: (sample: Sample) => A): Array<DataPoint<A>> =>
    samples.map((sample) => ({
      startTime,
      endTime,
      attributes: attributes(sample),
      value: value(sample),
    }))
  const common = {
    descriptor: {
      name: definition.name,
      description: definition.help,
      unit: definition.unit,
      valueType: ValueType.DOUBLE,
    },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  }
  switch (definition.type) {
    case "counter":
      return {
        ...common,
        dataPointType: DataPointType.SUM,
        isMonotonic: true,
        dataPoints: points((_) => _.value),
      }
    case "gauge":
      return { ...common, dataPointType: DataPointType.GAUGE, dataPoints: points((_) => _.value) }
    case "histogram":
      return {
        ...common,
        dataPointType: DataPointType.HISTOGRAM,
        dataPoints: points((_) => histogram(_.buckets ?? [], family, _.value)),
      }
  }
}

/** Weir's metrics for OpenTelemetry's reader, under the names that Prometheus gets. */
export const producer = (
  metrics: Metrics,
  clock: Clock.Clock,
  resource: Resource,
): MetricProducer => {
  const start = hrTime(clock.currentTimeMillisUnsafe())
  return {
    collect: () => {
      const now = clock.currentTimeMillisUnsafe()
      const families = metrics.read(now).filter(({ samples }) => samples.length > 0)
      return Promise.resolve({
        resourceMetrics: {
          resource,
          scopeMetrics: [{
            scope: { name: "weir", version },
            metrics: families.map((family) => data(family, start, hrTime(now))),
          }],
        },
        errors: [],
      })
    },
  }
}
