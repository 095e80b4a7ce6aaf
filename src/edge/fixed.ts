/** A problem that is the same every time; the shape of `Problem.Problem`. */
interface Fixed {
  readonly slug: string
  readonly status: number
  readonly title: string
  readonly detail?: string
  readonly headers?: Readonly<Record<string, string>>
}

export const deadlineExceeded: Fixed = {
  slug: "deadline-exceeded",
  status: 504,
  title: "Not done by the deadline",
  detail: "The work was started, ran out of time and has been cancelled.",
}

/** A defect; says nothing about its insides. */
export const internal: Fixed = {
  slug: "internal",
  status: 500,
  title: "Internal error",
  detail: "This is a bug in the service; it has been logged.",
}

/** Whether a key was unknown, expired, revoked or mistyped is nobody's business. */
export const unauthenticated = (presented: boolean): Fixed => ({
  slug: "unauthenticated",
  status: 401,
  title: "A valid API key is needed",
  detail: "Send it as `Authorization: Bearer <key>` or `X-API-Key`.",
  headers: {
    "www-authenticate": `Bearer realm="api"${presented ? ', error="invalid_token"' : ""}`,
    "cache-control": "no-store",
  },
})

export const payloadTooLarge: Fixed = {
  slug: "payload-too-large",
  status: 413,
  title: "Request body too large",
  headers: { connection: "close" },
}

export const cleanupAbandoned: Fixed = {
  slug: "cleanup-abandoned",
  status: 503,
  title: "Cleanup did not end in time",
}

/** We have not enough of something. */
export const noCapacity = {
  slug: "refused",
  status: 503,
  title: "Refused: this cannot be done now",
} as const

/** The caller has had enough of it. Only it comes back then, so there is no herd to spread. */
export const overQuota = {
  slug: "rate-limited",
  status: 429,
  title: "Refused: your quota is used up",
  exact: true,
} as const
