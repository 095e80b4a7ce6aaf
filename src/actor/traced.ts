import { Context, Tracer } from "effect"
import * as Spans from "../telemetry/Spans.ts"
import type { MessageFrame } from "./frame.ts"

/** Runs a message in a span below that of its sender. */
export const traced = (
  frame: MessageFrame,
  actor: { readonly path: string; readonly home: { readonly name: string } },
): void => {
  const { how, span, tag } = frame.entry
  frame.services = Context.add(
    frame.services as Context.Context<unknown>,
    Tracer.ParentSpan,
    span!,
  ) as Context.Context<never>
  frame.code = Spans.withSpan(`${actor.home.name}.${tag}`, {
    kind: "consumer",
    attributes: () => ({ [Spans.attributes.actor]: actor.path, [Spans.attributes.actorHow]: how }),
    cancelReason: () => frame.effectiveReason(),
  })(frame.code)
}
