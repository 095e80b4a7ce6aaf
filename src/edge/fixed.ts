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
