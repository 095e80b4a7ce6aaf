import { Context } from "effect"
import { type HttpApi, type HttpApiEndpoint, type HttpApiGroup, OpenApi } from "effect/http-api"
import * as Policy from "./Policy.ts"

type Json = Record<string, unknown>

/**
 * The API with Weir's own endpoints in its document: written down here, because their routes need
 * what `HttpApi` does not offer (304, stored answers, event streams that resume).
 */
export const documented = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>,
  defaults: Policy.Policy,
  peers = false,
): HttpApi.HttpApi<Id, Groups> => {
  const own = Context.getOrUndefined(
    api.annotations as Context.Context<OpenApi.Transform>,
    OpenApi.Transform,
  )
  const policies = policiesOf(api, defaults)
  const keys = Array.from(policies.values()).some(({ auth }) => auth !== "none")
  return api.annotate(OpenApi.Transform, (document) => {
    const components = (document["components"] ?? {}) as Json
    const merged: Json = {
      ...document,
      paths: { ...paths, ...promising(document["paths"] as Json, policies, peers) },
      tags: [...(document["tags"] as ReadonlyArray<Json> ?? []), ...tags],
      components: {
        ...components,
        schemas: { ...schemas, ...components["schemas"] as Json },
        securitySchemes: {
          operator: {
            type: "http",
            scheme: "bearer",
            description: "WEIR_OPERATOR_TOKEN; without one, local requests only.",
          },
          ...(keys ? keySchemes : {}),
          ...components["securitySchemes"] as Json,
        },
      },
    }
    return own === undefined ? merged : own(merged)
  })
}

/** The policies by `method path`. */
const policiesOf = (
  api: HttpApi.Constraint,
  defaults: Policy.Policy,
): ReadonlyMap<string, Policy.Resolved> => {
  const top = api as HttpApi.Top
  const found = new Map<string, Policy.Resolved>()
  for (const group of Object.values(top.groups) as ReadonlyArray<HttpApiGroup.Top>) {
    for (const endpoint of Object.values(group.endpoints) as ReadonlyArray<HttpApiEndpoint.Top>) {
      const policy = Policy.resolve(
        `${group.identifier}.${endpoint.identifier}`,
        defaults,
        Context.get(top.annotations, Policy.Policy),
        Context.get(group.annotations, Policy.Policy),
        Context.get(endpoint.annotations, Policy.Policy),
      )
      const path = endpoint.path.replace(/:(\w+)[^/]*/g, "{$1}")
      found.set(`${endpoint.method.toLowerCase()} ${path}`, policy)
    }
  }
  return found
}

/** The operations with what the edge itself may answer: 202, and the refusals of a bad request. */
const promising = (
  documented: Json,
  policies: ReadonlyMap<string, Policy.Resolved>,
  peers: boolean,
): Json =>
  mapValues(documented, (item, path) =>
    mapValues(item as Json, (operation, method) => {
      const { responses, parameters, ...rest } = operation as Json
      const given = parameters as ReadonlyArray<Json> ?? []
      const policy = policies.get(`${method} ${path}`)
      const auth = policy?.auth ?? "none"
      const waits = policy !== undefined && policy.async !== "never"
      const body = rest["requestBody"] !== undefined
      const declared = responses as Json
      const known = auth === "none" ? without(declared, "401", "Unauthenticated") : declared
      return {
        ...rest,
        ...(auth === "none" ? {} : {
          security: auth === "required" ? byKey : [...byKey, {}],
        }),
        parameters: waits ? [...given, prefer] : given,
        responses: {
          ...(body || given.length > 0 ? { 400: problem("The request does not fit") } : {}),
          ...(body ? { 413: problem("The body is too large") } : {}),
          ...(body ? { 415: problem("The body has a type that is not read here") } : {}),
          ...(auth === "none" && !peers ? without(known, "429", "RateLimited") : limited(known)),
          ...(waits ? { 202: accepted } : {}),
        },
      }
    }))

/** Supervision declares its errors for every endpoint; these two not every endpoint can have. */
const without = (responses: Json, status: string, error: string): Json => {
  const { [status]: response, ...others } = responses
  const type = "application/problem+json"
  const { content: contents, ...rest } = (response ?? {}) as { readonly content?: Json }
  const { [type]: body, ...further } = contents ?? {}
  const { schema } = (body ?? {}) as { readonly schema?: Json }
  const all = schema?.["anyOf"] as ReadonlyArray<Json> ?? (schema === undefined ? [] : [schema])
  const left = all.filter((one) => one["$ref"] !== ref(error).$ref)
  if (left.length === all.length) return responses
  const kept = left.length === 0
    ? further
    : { ...further, [type]: { schema: left.length === 1 ? left[0] : { anyOf: left } } }
  return Object.keys(kept).length === 0
    ? others
    : { ...others, [status]: { ...rest, content: kept } }
}

const limited = (responses: Json): Json =>
  responses["429"] === undefined ? responses : {
    ...responses,
    429: {
      ...responses["429"] as Json,
      headers: {
        "Retry-After": {
          required: true,
          schema: { type: "integer" },
          description: "Seconds, exactly.",
        },
        RateLimit: {
          schema: { type: "string", examples: ['"principal";r=0;t=12'] },
          description: "What is left; on every answer to a caller with a limit.",
        },
        "RateLimit-Policy": {
          schema: { type: "string", examples: ['"principal";q=100;w=60'] },
          description: "The limit; on every answer to a caller with one.",
        },
      },
    },
  }

const byKey: ReadonlyArray<Json> = [{ apiKey: [] }, { apiKeyHeader: [] }]

const keySchemes: Json = {
  apiKey: { type: "http", scheme: "bearer", description: "An API key." },
  apiKeyHeader: {
    type: "apiKey",
    in: "header",
    name: "X-API-Key",
    description: "The same key, where `Authorization` is taken.",
  },
}

const mapValues = (object: Json, f: (value: unknown, key: string) => unknown): Json =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, f(value, key)]))

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })
const content = (schema: Json, type = "application/json") => ({ [type]: { schema } })
const ok = (description: string, schema: Json) => ({ description, content: content(schema) })
const problem = (description: string) => ({
  description,
  content: content(ref("Problem"), "application/problem+json"),
})

const prefer = {
  name: "Prefer",
  in: "header",
  required: false,
  schema: { type: "string", examples: ["respond-async", "respond-async, wait=5"] },
  description: "Answer 202 when the work is not done within `wait` seconds (0).",
}
const id = {
  name: "id",
  in: "path",
  required: true,
  schema: { type: "string" },
  description: "Unguessable: whoever knows it may look at the task and cancel it.",
}
const query = (name: string, schema: Json, description: string) => ({
  name,
  in: "query",
  required: false,
  schema,
  description,
})
const operation = (
  tag: "tasks" | "operations",
  name: string,
  summary: string,
  parameters: ReadonlyArray<Json>,
  responses: Json,
  operators = false,
): Json => ({
  operationId: `weir.${name}`,
  tags: [tag],
  summary,
  parameters,
  security: operators ? [{ operator: [] }, {}] : [],
  responses: operators
    ? {
      ...responses,
      401: problem("A token is configured, and this is not it."),
      403: problem("No token is configured, and the request is not local."),
    }
    : responses,
})

const accepted = {
  ...ok("Accepted: the task goes on, also when the client leaves.", ref("Task")),
  headers: {
    Location: { required: true, schema: { type: "string" }, description: "`/tasks/{id}`." },
    "Retry-After": { required: true, schema: { type: "integer" }, description: "Seconds." },
    "Preference-Applied": { required: true, schema: { type: "string" } },
  },
}
const unknown = problem("There is no such task, or its result is no longer kept.")

const tags = [
  { name: "tasks", description: "Work in progress, and the results of what was answered later." },
  { name: "operations", description: "How the service is." },
]

const schemas: Json = {
  Problem: {
    type: "object",
    description: "RFC 9457 problem details.",
    required: ["type", "title", "status"],
    properties: {
      type: { type: "string" },
      title: { type: "string" },
      status: { type: "integer" },
      detail: { type: "string" },
    },
  },
  Task: {
    type: "object",
    required: ["id", "name", "state", "startedAt", "ageMs"],
    properties: {
      id: { type: "string" },
      name: { type: "string" },
      state: { enum: ["running", "waiting", "cancelling", "abandoned", "ended"] },
      startedAt: { type: "string", format: "date-time" },
      ageMs: { type: "integer" },
      deadline: { type: ["string", "null"], format: "date-time" },
      waitingOn: { type: ["string", "null"], description: "The pool it waits for." },
      progress: {
        type: ["object", "null"],
        properties: {
          done: { type: "number" },
          total: { type: "number" },
          note: { type: "string" },
        },
      },
      cancelReason: {
        type: ["object", "null"],
        properties: { reason: { type: "string" }, text: { type: "string" } },
      },
      outcome: { enum: ["completed", "failed", "cancelled", "refused"] },
      result: { type: "string", description: "Where the answer is, once it has ended." },
      resultExpires: { type: "string", format: "date-time" },
    },
  },
}

const paths: Json = {
  "/tasks": {
    get: operation("tasks", "tasks", "Live tasks, oldest first", [
      query("state", { enum: ["running", "waiting", "cancelling", "abandoned"] }, "Only these."),
      query("kind", { type: "string" }, "Only this kind, such as `request`."),
      query("name", { type: "string" }, "Only names that begin so."),
      query("minAgeMs", { type: "integer", minimum: 0 }, "Only tasks at least as old."),
      query("limit", { type: "integer", minimum: 1, maximum: 500, default: 100 }, "Page size."),
      query("cursor", { type: "string" }, "`next` of the page before."),
    ], {
      200: ok("One page.", {
        type: "object",
        properties: {
          tasks: { type: "array", items: ref("Task") },
          next: { type: ["string", "null"] },
          live: { type: "integer", description: "Live tasks in all." },
        },
      }),
      400: problem("A parameter does not fit."),
    }, true),
  },
  "/tasks/{id}": {
    get: operation("tasks", "task", "Look at a task", [id], {
      200: ok("The task; `Retry-After` says when to look again.", ref("Task")),
      304: { description: "Nothing has changed since the `ETag` in `If-None-Match`." },
      404: unknown,
    }),
    delete: operation("tasks", "cancel", "Cancel a task and wait for its cleanup", [
      id,
      query("note", { type: "string", maxLength: 200 }, "Why; its finalizers can read it."),
    ], {
      200: ok("What happened.", {
        type: "object",
        properties: { cancelled: { type: "boolean" }, detail: { type: "string" } },
      }),
      404: unknown,
    }),
  },
  "/tasks/{id}/result": {
    get: operation(
      "tasks",
      "result",
      "The answer of a task that has ended, as it was given",
      [id],
      {
        default: { description: "Status, headers and body of the answer." },
        404: unknown,
        409: problem("The task has not ended."),
      },
    ),
  },
  "/tasks/{id}/events": {
    get: operation("tasks", "events", "Follow a task to its end", [
      id,
      {
        name: "Last-Event-ID",
        in: "header",
        required: false,
        schema: { type: "string" },
        description: "Go on after this event.",
      },
    ], {
      200: {
        description: "started, waiting, resumed, progress, cancel-requested, cleanup-started, " +
          "cleanup-ended, cleanup-abandoned, ended; `gap` where events were dropped.",
        content: content({ type: "string" }, "text/event-stream"),
      },
      204: { description: "The task has ended and everything was told." },
      404: unknown,
      503: problem("Too many event streams."),
    }),
  },
  "/health/live": {
    get: operation("operations", "live", "Whether the process serves", [], {
      200: ok("It does.", { type: "object" }),
    }),
  },
  "/health/ready": {
    get: operation("operations", "ready", "Whether it can do its work", [], {
      200: ok("It can.", { type: "object" }),
      503: problem("A check fails, or the service is shutting down."),
    }),
  },
  "/saturation": {
    get: operation("operations", "saturation", "Every bounded thing and how full it is", [], {
      200: ok("A list.", { type: "object" }),
    }, true),
  },
  "/metrics": {
    get: operation("operations", "metrics", "Metrics for Prometheus", [], {
      200: {
        description: "Text format 0.0.4.",
        content: content({ type: "string" }, "text/plain"),
      },
    }, true),
  },
}
