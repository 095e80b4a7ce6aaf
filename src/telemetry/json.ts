/** The exporters for `http/json`; loaded when a signal is sent so. */
export { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http"
export { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http"
export { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http"
