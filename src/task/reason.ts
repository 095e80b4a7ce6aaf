/**
 * Why work was cancelled.
 *
 * - `ClientAbort`: the HTTP client went away.
 * - `DeadlineExceeded`: its deadline passed; `deadline` in absolute milliseconds.
 * - `ParentEnded`: the task or scope that owned it ended; `parent` is its name.
 * - `SiblingFailed`: another task of its group failed; `sibling` is its name.
 * - `Shutdown`: the service stops.
 * - `LeaseLost`: the process no longer owns the durable work.
 * - `Requested`: somebody asked for it; `by` says who, `note` why.
 *
 * @category models
 * @since 0.1.0
 */
export type CancelReason =
  | { readonly _tag: "ClientAbort" }
  | { readonly _tag: "DeadlineExceeded"; readonly deadline: number }
  | { readonly _tag: "ParentEnded"; readonly parent: string }
  | { readonly _tag: "SiblingFailed"; readonly sibling: string }
  | { readonly _tag: "Shutdown" }
  | { readonly _tag: "LeaseLost" }
  | { readonly _tag: "Requested"; readonly by: string; readonly note: string }
