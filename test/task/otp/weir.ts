/** Runs scenarios on Weir, in virtual time. */
import { CancelReason, Supervisor, TaskTree } from "@weir/runtime"
import { Cause, Deferred, Duration, Effect, Exit, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import {
  type Child,
  defaultIntensity,
  isSup,
  periodSeconds,
  type Scenario,
  type Start,
  type Step,
  type Sup,
  waitMs,
  type Worker,
} from "./scenario.ts"

/** A worker that lives. */
interface Living {
  readonly end: Deferred.Deferred<void, string>
  readonly taskId: string
  /** Somebody else writes down its end. */
  silent: boolean
}

class Stage {
  readonly tree = TaskTree.makeUnsafe()
  readonly events: Array<string> = []
  readonly starts = new Map<string, number>()
  readonly living = new Map<string, Living>()
  readonly supervisors = new Map<string, Supervisor.Supervisor>()
  /** Opened at the very end, for those that would never end. */
  readonly curtain = Deferred.makeUnsafe<void>()

  note(event: string): void {
    this.events.push(event)
  }
}

const worker = (stage: Stage, it: Worker): Effect.Effect<unknown, unknown> =>
  Effect.suspend(() => {
    const nth = stage.starts.get(it.id) ?? 0
    stage.starts.set(it.id, nth + 1)
    const starts: ReadonlyArray<Start> = it.starts ?? ["ok"]
    const start = starts[Math.min(nth, starts.length - 1)]
    if (start === "ignore") {
      stage.note(`ignore ${it.id}`)
      return Supervisor.ignore
    }
    if (start === "error") {
      stage.note(`fail ${it.id}`)
      return Effect.fail("refused")
    }
    stage.note(`start ${it.id}`)
    const record = Array.from(stage.tree.unsafe.live).findLast(({ name }) => name === it.id)!
    const living: Living = { end: Deferred.makeUnsafe(), taskId: record.id, silent: false }
    stage.living.set(it.id, living)
    const leaves = (exit: Exit.Exit<void, string>): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (stage.living.get(it.id) === living) stage.living.delete(it.id)
        if (living.silent) return Effect.void
        const cancelled = Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)
        if (cancelled && it.stubborn === true) return Deferred.await(stage.curtain)
        // What is killed says nothing.
        if (!cancelled || it.shutdown !== "brutal") stage.note(`stop ${it.id} ${how(exit)}`)
        return Effect.void
      })
    return Supervisor.ready.pipe(
      Effect.andThen(Deferred.await(living.end)),
      Effect.onExit(leaves),
    )
  })

const how = (exit: Exit.Exit<void, string>): string =>
  Exit.isSuccess(exit) ? "normal" : Cause.hasInterrupts(exit.cause) ? "shutdown" : "crash"

const options = (stage: Stage, it: Sup) => ({
  name: it.id,
  strategy: it.strategy ?? "one-for-one",
  autoShutdown: it.autoShutdown ?? "never",
  budget: "supervisor" as const,
  policy: Supervisor.restart({
    intensity: it.intensity ?? defaultIntensity,
    period: Duration.seconds(periodSeconds),
  }),
  children: it.children.map((child) => spec(stage, child)),
})

const spec = (stage: Stage, it: Child): Supervisor.ChildSpec => ({
  id: it.id,
  restart: it.restart ?? "permanent",
  significant: it.significant ?? false,
  ready: "signal",
  ...(isSup(it) ? { type: "supervisor", effect: nested(stage, it) } : {
    effect: worker(stage, it),
    ...(it.shutdown === undefined ? {} : { shutdown: it.shutdown }),
  }),
})

/** An exhausted one ends with `shutdown` in OTP, which is no failure there; see decision 7. */
const nested = (stage: Stage, it: Sup): Effect.Effect<unknown, unknown> =>
  Effect.scoped(Effect.gen(function* () {
    stage.note(`start ${it.id}`)
    const supervisor = yield* Supervisor.make(options(stage, it))
    stage.supervisors.set(it.id, supervisor)
    yield* Supervisor.ready
    yield* supervisor.await
  })).pipe(Effect.catchTag("SupervisorExhausted", () => Effect.void))

/** Lets everything happen that is due now; a cleanup that has a bound gets its time. */
const settle = (stage: Stage): Effect.Effect<void> =>
  Effect.gen(function* () {
    let quiet = 0
    let before = ""
    while (quiet < 10) {
      yield* Effect.yieldNow
      const live = Array.from(stage.tree.unsafe.live)
      const now = `${stage.events.length} ${live.map((record) => record.state).join()}`
      quiet = now === before ? quiet + 1 : 0
      before = now
      if (quiet === 10 && live.some((record) => record.state === "cancelling")) {
        yield* TestClock.adjust("10 millis")
        quiet = 0
      }
    }
  })

const snapshot = (stage: Stage): void => {
  const alive = Array.from(stage.tree.unsafe.live)
    .filter((record) => record.kind === "child" && record.state !== "abandoned")
    .map(({ name }) => name)
  const roots = Array.from(stage.tree.unsafe.live)
    .filter((record) => record.kind === "supervisor" && record.parent === undefined)
    .map(({ name }) => name)
  stage.note(["alive", ...[...new Set([...roots, ...alive])].sort()].join(" "))
}

const step = (stage: Stage, it: Step): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (it[0] === "wait") {
      stage.note("> wait")
      yield* TestClock.adjust(waitMs)
      return yield* settle(stage)
    }
    if (it[0] === "kill" || it[0] === "leave") {
      const how = it[0] === "kill" ? "killed" : it[2]
      stage.note(it[0] === "kill" ? `> kill ${it[1]}` : `> leave ${it[1]} ${how}`)
      const living = stage.living.get(it[1])
      if (living === undefined) stage.note("nobody")
      else {
        stage.note(`stop ${it[1]} ${how}`)
        yield* end(stage, it[1], living, how)
      }
    } else {
      const [what, on, target] = it
      const id = typeof target === "string" ? target : target.id
      stage.note(`> ${what} ${id}`)
      const supervisor = stage.supervisors.get(on)
      if (supervisor === undefined) stage.note("= Ended")
      else {
        const done: Effect.Effect<unknown, Supervisor.ChildRefused | Supervisor.StartFailed> =
          typeof target !== "string"
            ? supervisor.startChild(spec(stage, target))
            : what === "terminate"
            ? supervisor.terminateChild(id)
            : what === "restart"
            ? supervisor.restartChild(id)
            : supervisor.deleteChild(id)
        const fiber = yield* Effect.forkChild(Effect.result(done), { startImmediately: true })
        yield* settle(stage)
        const exit = fiber.pollUnsafe()
        stage.note(
          exit?._tag !== "Success"
            ? `= ${exit?._tag ?? "pending"}`
            : exit.value._tag === "Success"
            ? "= ok"
            : `= ${
              exit.value.failure._tag === "StartFailed" ? "StartFailed" : exit.value.failure.reason
            }`,
        )
      }
    }
    yield* settle(stage)
    snapshot(stage)
  })

const end = (stage: Stage, id: string, living: Living, how: string): Effect.Effect<void> =>
  Effect.suspend((): Effect.Effect<unknown> => {
    living.silent = true
    stage.living.delete(id)
    switch (how) {
      case "normal":
        return Deferred.succeed(living.end, undefined)
      case "shutdown":
        // Somebody else cancels it, which in OTP is an exit signal.
        return stage.tree.cancel(living.taskId, CancelReason.Requested("somebody"))
      case "killed":
        return Deferred.die(living.end, new Error("killed"))
      default:
        return Deferred.fail(living.end, "crash")
    }
  })

/** The list of children and the counts of every supervisor. */
const picture = (stage: Stage, id: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const supervisor = stage.supervisors.get(id)
    if (supervisor === undefined) return
    const children = yield* supervisor.children
    const counts = yield* supervisor.counts
    const line = children.map((child) => ` ${child.id}=${child.state}`).join("")
    const numbers = [counts.specs, counts.active, counts.supervisors, counts.workers].join(" ")
    stage.note(`children of ${id}:${line} | ${numbers}`)
    for (const child of children) {
      if (child.type === "supervisor" && child.state === "running") yield* picture(stage, child.id)
    }
  })

/** The events of a scenario; dies when something of it is left behind. */
export const runOnWeir = (scenario: Scenario): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function* () {
    const stage = new Stage()
    const { root } = scenario
    yield* Effect.gen(function* () {
      const scope = yield* Scope.make()
      stage.note(`start ${root.id}`)
      const made = yield* Effect.forkChild(
        Effect.provideService(Supervisor.make(options(stage, root)), Scope.Scope, scope),
        { startImmediately: true },
      )
      yield* settle(stage)
      const exit = made.pollUnsafe()
      if (exit === undefined || Exit.isFailure(exit)) {
        stage.note(exit === undefined ? "still starting" : "failed to start")
      } else {
        const supervisor = exit.value
        stage.supervisors.set(root.id, supervisor)
        let ended = false
        const observer = yield* Effect.forkChild(
          Effect.map(Effect.exit(supervisor.await), (exit) => {
            ended = true
            stage.note(`end ${ends(exit) ? "shutdown" : "other"}`)
          }),
          { startImmediately: true },
        )
        yield* settle(stage)
        snapshot(stage)
        for (const each of scenario.steps) yield* step(stage, each)
        if (!ended) yield* picture(stage, root.id)
        stage.note("> stop")
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), {
          startImmediately: true,
        })
        yield* settle(stage)
        if (closing.pollUnsafe() === undefined) stage.note("still closing")
        if (observer.pollUnsafe() === undefined) stage.note("still running")
      }
      snapshot(stage)
      yield* Deferred.succeed(stage.curtain, undefined)
      yield* settle(stage)
      if (stage.tree.unsafe.live.size > 0) return yield* Effect.die("something is left behind")
    }).pipe(Effect.provideService(TaskTree.TaskTree, stage.tree))
    return stage.events
  }).pipe(Effect.provide(Logger.layer([])), Effect.provide(TestClock.layer()))

const ends = (exit: Exit.Exit<void, { readonly _tag: string }>): boolean =>
  Exit.isSuccess(exit) || exit.cause.reasons.every((reason) =>
    reason._tag === "Fail" &&
    (reason.error._tag === "SupervisorExhausted" || reason.error._tag === "Cancelled")
  )
