/**
 * One metric: what it is called, what it counts, and by what it is split.
 *
 * @category models
 * @since 0.1.0
 */
export interface Definition {
  /** Name, the same for Prometheus and OTLP. */
  readonly name: string
  /** A counter only grows; a gauge is a state; a histogram counts values by size. */
  readonly type: "counter" | "gauge" | "histogram"
  /** UCUM, as OpenTelemetry wants it. */
  readonly unit: string
  /** Names of the labels. */
  readonly labels: ReadonlyArray<string>
  /** One sentence for people. */
  readonly help: string
  /** Upper bounds of the buckets, in the unit of the metric. */
  readonly buckets?: ReadonlyArray<number>
}

const define = (
  name: string,
  type: Definition["type"],
  unit: string,
  labels: ReadonlyArray<string>,
  help: string,
): Definition => ({ name, type, unit, labels, help })

const bounded = ["kind", "name"]

/** Every metric of Weir. docs/telemetry.md shows this table, and a test compares the two. */
export const definitions = {
  requests: define(
    "weir_requests_total",
    "counter",
    "{request}",
    ["endpoint", "method", "outcome", "reason"],
    "Requests that ended, by how and why.",
  ),
  duration: {
    ...define(
      "weir_request_duration_seconds",
      "histogram",
      "s",
      ["endpoint", "method"],
      "Time from the start of a request to its end; refused requests are not in it.",
    ),
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  inFlight: define(
    "weir_requests_in_flight",
    "gauge",
    "{request}",
    ["endpoint", "method"],
    "Requests that have started and not ended.",
  ),
  tasksLive: define("weir_tasks_live", "gauge", "{task}", ["kind"], "Tasks that are alive."),
  tasks: define(
    "weir_tasks_total",
    "counter",
    "{task}",
    ["kind", "outcome"],
    "Tasks that ended, by how.",
  ),
  abandoned: define(
    "weir_cleanup_abandoned_total",
    "counter",
    "{task}",
    [],
    "Cancelled tasks whose cleanup overran its budget.",
  ),
  capacity: define("weir_bounded_capacity", "gauge", "{slot}", bounded, "Slots there are."),
  inUse: define("weir_bounded_in_use", "gauge", "{slot}", bounded, "Slots in use."),
  waiting: define(
    "weir_bounded_waiting",
    "gauge",
    "{waiter}",
    bounded,
    "Waiters and tickets that were not redeemed yet.",
  ),
  queueCapacity: define(
    "weir_bounded_queue_capacity",
    "gauge",
    "{waiter}",
    bounded,
    "Hard bound on the waiters.",
  ),
  highWater: define(
    "weir_bounded_high_water",
    "gauge",
    "{waiter}",
    bounded,
    "Most waiters ever seen at once.",
  ),
  oldestWait: define(
    "weir_bounded_oldest_wait_seconds",
    "gauge",
    "s",
    bounded,
    "How long the oldest waiter has waited; 0 while nobody waits.",
  ),
  predictedWait: define(
    "weir_bounded_predicted_wait_seconds",
    "gauge",
    "s",
    bounded,
    "Wait predicted for a newcomer.",
  ),
  refused: define(
    "weir_bounded_refused_total",
    "counter",
    "{refusal}",
    [...bounded, "reason"],
    "Work that was refused, by why.",
  ),
  wouldRefuse: define(
    "weir_bounded_would_refuse_total",
    "counter",
    "{refusal}",
    [...bounded, "reason"],
    "Work that would have been refused by a layer that is only tried (`dark`), by why.",
  ),
  actorMessages: define(
    "weir_actor_messages_total",
    "counter",
    "{message}",
    ["actor", "outcome"],
    "Messages to actors that ended, by how.",
  ),
  actorRestarts: define(
    "weir_actor_restarts_total",
    "counter",
    "{restart}",
    ["actor"],
    "Restarts of actors after a crash.",
  ),
  actorResidents: define(
    "weir_actor_residents",
    "gauge",
    "{actor}",
    ["actor"],
    "Actors in memory.",
  ),
  mailboxWait: {
    ...define(
      "weir_mailbox_wait_seconds",
      "histogram",
      "s",
      ["actor"],
      "Time from sending a message to the start of its handler.",
    ),
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  deadLetters: define(
    "weir_dead_letters_total",
    "counter",
    "{letter}",
    ["actor", "reason"],
    "Messages to actors that had no effect, and answers that nobody waited for, by why.",
  ),
  poolWait: {
    ...define(
      "weir_pool_wait_seconds",
      "histogram",
      "s",
      ["name"],
      "Time that an acquire waited for its slot; an acquire that did not wait counts as 0.",
    ),
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  dependencyCalls: define(
    "weir_dependency_calls_total",
    "counter",
    "{call}",
    ["name"],
    "Calls to a dependency, not counting retries and hedges.",
  ),
  dependencyAttempts: define(
    "weir_dependency_attempts_total",
    "counter",
    "{attempt}",
    ["name", "kind", "outcome"],
    "Attempts that were really made, by kind and by what they say about the dependency.",
  ),
  dependencyDenied: define(
    "weir_dependency_retries_denied_total",
    "counter",
    "{retry}",
    ["name", "reason"],
    "Failures of idempotent calls that were not tried again, by why.",
  ),
  dependencyDuration: {
    ...define(
      "weir_dependency_duration_seconds",
      "histogram",
      "s",
      ["name"],
      "Time that an attempt took in its slot.",
    ),
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  dependencyBreaker: define(
    "weir_dependency_breaker_state",
    "gauge",
    "1",
    ["name"],
    "0 while the breaker is closed, 1 half-open, 2 open.",
  ),
  dependencyFailures: define(
    "weir_dependency_failure_ratio",
    "gauge",
    "1",
    ["name"],
    "Share of failures in the window of the breaker.",
  ),
  dependencyThrottle: define(
    "weir_dependency_throttle_ratio",
    "gauge",
    "1",
    ["name"],
    "Chance that the throttle refuses the next call.",
  ),
  dependencyBudget: define(
    "weir_dependency_retry_budget",
    "gauge",
    "{retry}",
    ["name"],
    "Retries and hedges that are left.",
  ),
  supervisorRestarts: define(
    "weir_supervisor_restarts_total",
    "counter",
    "{restart}",
    ["supervisor", "child"],
    "Restarts of supervised children; those started later than their supervisor count as `dynamic`.",
  ),
  exportDropped: define(
    "weir_export_dropped_total",
    "counter",
    "{item}",
    ["signal", "reason"],
    "Spans and log records that were not delivered to the collector, by why.",
  ),
  loopLag: define(
    "weir_event_loop_lag_seconds",
    "gauge",
    "s",
    [],
    "How late the event loop is: the 90th percentile of the last 250 ms.",
  ),
  memory: define(
    "weir_process_resident_memory_bytes",
    "gauge",
    "By",
    [],
    "Resident memory of the process.",
  ),
  uptime: define("weir_process_uptime_seconds", "gauge", "s", [], "Age of the process."),
  build: define(
    "weir_build_info",
    "gauge",
    "1",
    ["version", "effect", "runtime"],
    "Always 1; the labels say what runs.",
  ),
} as const satisfies Record<string, Definition>

/**
 * Every metric of Weir, in the order in which they are reported.
 *
 * @category models
 * @since 0.1.0
 */
export const table: ReadonlyArray<Definition> = Object.values(definitions)

/**
 * The values that the label `reason` of `weir_requests_total` can take, by outcome. Anything else
 * counts as `other`, so that no caller can grow the number of series.
 */
export const reasons = {
  completed: ["1xx", "2xx", "3xx", "4xx", "5xx"],
  failed: ["1xx", "2xx", "3xx", "4xx", "5xx"],
  refused: [
    "QueueFull",
    "Infeasible",
    "Late",
    "Shed",
    "Displaced",
    "Overloaded",
    "RateLimited",
    "BreakerOpen",
    "Throttled",
    "ShuttingDown",
    "Closed",
    "Unauthenticated",
    "other",
  ],
  cancelled: [
    "ClientAbort",
    "DeadlineExceeded",
    "ParentEnded",
    "SiblingFailed",
    "Shutdown",
    "LeaseLost",
    "Requested",
    "Interrupted",
    "other",
  ],
} as const

/** How a request ended. */
export type Outcome = keyof typeof reasons
