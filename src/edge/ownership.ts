import type { Cause } from "effect"
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http"
import type { Caller } from "../admission/Caller.ts"
import type { TaskRecord } from "../task/record.ts"
import { exchangeOf } from "./exchange.ts"
import { credentialOf, peerOf } from "./identify.ts"
import { Current, type Principals } from "./Principal.ts"
import type { Result } from "./results.ts"
import { Run } from "./run.ts"

/** Whose a task is. */
export type Owner = Pick<Caller, "id" | "tenant">

/** Whose a task is, if it was asked for with a key: everything that such a request starts is too. */
export const ownerOf = (task: TaskRecord | Result): Owner | undefined => {
  if ("response" in task) return task.owner
  let at = task
  while (!(at instanceof Run)) {
    // Detached work has no task above it, but still the context of who started it.
    if (at.parent === undefined) return at.fiber?.getRef(Current)
    at = at.parent
  }
  return at.principal
}

/** Who asks for a task, as far as it shows a key of its own: a wrong one is none. */
export class Asker {
  readonly owner: Owner | undefined
  /** Why whose key it is could not be found out. */
  readonly lost: Cause.Cause<unknown> | undefined

  constructor(owner: Owner | undefined, lost: Cause.Cause<unknown> | undefined) {
    this.owner = owner
    this.lost = lost
  }

  /** Whether it may use what that one made. */
  is(owner: Owner | undefined): boolean {
    return owner === undefined ||
      (this.owner !== undefined && this.owner.id === owner.id && this.owner.tenant === owner.tenant)
  }
}

const nobody = new Asker(undefined, undefined)

/**
 * Who asks. Found out before the task is looked for, so that neither the answer nor its time tells
 * whether there is one.
 */
export const askerOf = (
  principals: Principals | undefined,
  request: HttpServerRequest.HttpServerRequest,
  now: number,
): Effect.Effect<Asker> => {
  const credential = principals === undefined ? undefined : credentialOf(request)
  if (credential === undefined) return Effect.succeed(nobody)
  const known = principals!.recognize(credential, now)
  if (known !== undefined) {
    return Effect.succeed(known === "wrong" ? nobody : new Asker(known, undefined))
  }
  return Effect.matchCause(
    principals!.authenticate(credential, peerOf(request, exchangeOf(request)?.info)?.id),
    {
      onSuccess: (principal) => new Asker(principal, undefined),
      onFailure: (cause) =>
        cause.reasons.some((it) => it._tag === "Fail" && it.error._tag === "Unauthenticated")
          ? nobody
          : new Asker(undefined, cause),
    },
  )
}
