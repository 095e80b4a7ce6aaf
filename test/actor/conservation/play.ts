import { Actor, ActorContext, ActorSystem, Deadline, Supervisor, Task } from "@weir/runtime"
import { Context, Effect, Exit, Fiber, Layer, Schedule, Schema, Scope } from "effect"
import { Rpc } from "effect/rpc"
import type { Ticket } from "../../../src/bounded/Bounded.ts"
import { Mistake } from "../../../src/internal/mistake.ts"
import { CancelScope, CurrentScope, root } from "../../../src/task/scope.ts"
import type { Cell } from "../../../src/actor/cell.ts"
import { Mailbox } from "../../../src/actor/memory.ts"
import { Ledger, type Life, noTotals, type Run, type Sent, type Totals } from "./ledger.ts"
import type { KindSpec, Op, Program, Send, Step, Tag, To } from "./program.ts"
import { nothing, World } from "./world.ts"

class Oops extends Schema.TaggedError<Oops>()("Oops", {}) {}

const rpc = <const Name extends Tag>(name: Name) =>
  Rpc.make(name, { payload: { mail: Schema.Any }, success: Schema.Number, error: Oops })

const protocol = [
  rpc("Work"),
  rpc("High").annotate(Actor.Priority, 1),
  rpc("Low").annotate(Actor.Priority, -1),
  rpc("Again").annotate(Actor.Reentrant, true),
  rpc("Firm").annotate(Actor.Uninterruptible, true),
  rpc("Retry").annotate(Actor.Retries, 2),
]

type Rpcs = (typeof protocol)[number]
type Ref = Actor.Ref<Rpcs>
type Work = Effect.Effect<void, Oops, Scope.Scope | ActorContext.ActorContext>

/** Who performs steps: a handler, an init, a timer, and in which life. */
interface Here {
  readonly who: string
  readonly life: Life
  readonly ctx: ActorContext.ActorContext
  readonly self: Ref
  readonly children: Map<string, Ref>
  readonly run: Run | undefined
  /** What it forked: its end waits for theirs. */
  readonly forks: Array<Fiber.Fiber<unknown, unknown>>
  /** It cannot be interrupted, so it must end by itself. */
  readonly firm: boolean
  /** In a fork, of whose failures nobody hears. */
  readonly forked: boolean
}

const optionsOf = (spec: KindSpec): Actor.ActorOptions => ({
  mailbox: {
    capacity: spec.capacity,
    overflow: spec.overflow,
    offerers: spec.offerers,
    stash: spec.stash,
  },
  concurrency: spec.concurrency,
  grace: spec.grace,
  exhausted: spec.exhausted,
  ...(spec.keyed ? { idle: spec.idle, residents: spec.residents } : {}),
  ...(spec.expected === undefined ? {} : { expected: spec.expected }),
  restart: Supervisor.restart({
    intensity: spec.intensity,
    period: "1 second",
    ...(spec.backoff > 0 ? { backoff: Schedule.spaced(spec.backoff) } : {}),
  }),
})

// An asker can be interrupted by what starting an actor sets off, and then it has not asked. Only
// of askers that were interrupted is this looked at; nobody else could know.
const { offer } = Mailbox.prototype
Mailbox.prototype.offer = function (entry, ...rest) {
  const { mail } = entry.payload as { readonly mail?: Sent }
  if (mail !== undefined) mail.offered = true
  return offer.call(this, entry, ...rest)
}

/** One run of a program, and the book of what happened. */
export class Play {
  readonly world: World
  readonly ledger: Ledger
  private readonly program: Program
  private system!: ActorSystem.ActorSystem["unsafe"]
  private context!: Context.Context<ActorSystem.ActorSystem>
  private readonly scope = Scope.makeUnsafe()
  private readonly clients: Array<(key: string) => Ref> = []
  private readonly fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  private readonly tickets = new Set<Ticket>()
  private senders = 0

  constructor(program: Program, draw: () => number) {
    this.program = program
    this.world = new World(draw, program.yields, program.together)
    const { unsafe: tree } = this.world.tree
    this.ledger = new Ledger(() => this.world.now, () => tree.abandonedCount)
  }

  /** Plays it from the first to the last, and returns what was wrong. */
  play(): ReadonlyArray<string> {
    const { ledger, world } = this
    try {
      if (!this.open()) return ledger.faults
      for (const op of this.program.ops) {
        world.advance(op.after, () => this.check())
        this.operate(op)
        world.settle()
        this.check()
      }
      // Time for everything to be answered, before the end answers it.
      if (this.program.ops.length % 4 === 0) world.advance(6000, () => this.check())
      const closing = world.run(Scope.close(this.scope, Exit.void))
      world.advance(60_000, () => this.check())
      if (closing.pollUnsafe() === undefined) ledger.fault("the layer does not close")
      this.check(true)
      ledger.checkEnd()
      this.checkLetters()
      for (const ticket of this.tickets) if (ticket.open) ledger.fault("a ticket is held")
      const left = JSON.stringify(world.leftovers())
      if (left !== JSON.stringify(nothing)) ledger.fault(`left behind: ${left}`)
    } catch (error) {
      ledger.fault(error instanceof Error ? error.stack ?? error.message : String(error))
    }
    for (const line of world.log) if (line.includes("Bug")) ledger.fault(line)
    return ledger.faults
  }

  /** False when the actors were given up before all were there. */
  private open(): boolean {
    const { kinds } = this.program
    const definitions = kinds.map((spec) =>
      spec.keyed
        ? Actor.make(spec.name, protocol, optionsOf(spec))
        : Actor.single(spec.name, protocol, optionsOf(spec))
    )
    const system = Layer.provideMerge(
      Layer.effectDiscard(Effect.map(ActorSystem.ActorSystem, ({ unsafe }) => {
        const { publish } = unsafe
        ;(unsafe as { publish: ActorSystem.ActorSystem["unsafe"]["publish"] }).publish = (
          letter,
        ) => {
          publish(letter)
          this.ledger.letter(letter)
          if (letter.reason === "discarded") this.checkDiscarded(unsafe, letter.to)
        }
      })),
      ActorSystem.layer(),
    )
    const layers = definitions.map((definition, i) =>
      definition.toLayer(this.init(kinds[i]!, definition as Actor.Single<Rpcs>))
    )
    const layer = layers.reduce<Layer.Layer<ActorSystem.ActorSystem>>(
      (below, above) => Layer.provideMerge(above, below),
      system,
    )
    const building = this.world.run(Layer.buildWithScope(layer, this.scope))
    this.world.settle()
    // A supervisor that gives up refuses the next kind when it has stopped those before.
    if (building.pollUnsafe() === undefined) this.world.advance(1000)
    const built = building.pollUnsafe()
    if (built?._tag === "Failure" && String(built.cause).includes("ChildRefused")) return false
    if (built?._tag !== "Success") throw new Error(`The layer was not built: ${String(built)}`)
    this.context = Context.merge(this.world.context, built.value)
    this.system = Context.get(built.value, ActorSystem.ActorSystem).unsafe
    for (const [i, definition] of definitions.entries()) {
      const client = this.now(definition.client as Effect.Effect<unknown>)
      this.clients.push(kinds[i]!.keyed ? client as (key: string) => Ref : () => client as Ref)
    }
    return true
  }

  /** The result of an effect that does not wait. */
  private now<A>(effect: Effect.Effect<A, never, ActorSystem.ActorSystem>): A {
    const exit = this.world.run(Effect.provideContext(effect, this.context)).pollUnsafe()
    if (exit?._tag !== "Success") throw new Error("It waits, or fails.")
    return exit.value
  }

  private pathOf(to: { readonly kind: number; readonly key: string }): string {
    const { keyed, name } = this.program.kinds[to.kind]!
    return keyed ? `${name}/${to.key}` : name
  }

  private operate(op: Op): void {
    const { world } = this
    switch (op.op) {
      case "send":
        for (let i = 0; i < op.times; i++) this.launch(this.external(op, op.deadline, op.task))
        return
      case "reserve":
        return this.reserve(op)
      case "interrupt": {
        const live = this.fibers.filter((fiber) => fiber.pollUnsafe() === undefined)
        live[op.nth % Math.max(1, live.length)]?.interruptUnsafe()
        return
      }
      case "stop":
        return this.launch(Effect.suspend(() => this.resolve(op.to, undefined)?.ref.stop ?? none))
      case "kill":
        world.kill(op.nth)
    }
  }

  private launch(effect: Effect.Effect<unknown, unknown, ActorSystem.ActorSystem>): void {
    this.fibers.push(this.world.run(Effect.provideContext(Effect.exit(effect), this.context)))
  }

  private external(send: Send, deadline: number | undefined, task: boolean) {
    const effect = this.send("world", undefined, send, deadline)
    return task ? Task.run("request", effect) : effect
  }

  /** Takes a place at the door, and sends after a while, like a request does. */
  private reserve({ hold, kind, send }: Op & { readonly op: "reserve" }): void {
    const { keyed, name } = this.program.kinds[kind]!
    const mailbox = this.system.slot(name).kind?.peek(keyed ? "a" : "")?.mailbox
    if (mailbox === undefined) return
    const held = mailbox.reserve({ now: this.world.now, deadline: Infinity, service: undefined })
    if ("_tag" in held) return
    this.tickets.add(held)
    const frame = new CancelScope(root, Infinity, undefined, [held], undefined)
    const effect = Effect.andThen(
      Effect.sleep(hold),
      this.send("world", undefined, { ...send, to: { kind, key: "a" } }, undefined),
    )
    this.launch(Effect.ensuring(
      Effect.provideService(effect, CurrentScope, frame),
      Effect.sync(() => held.release()),
    ))
  }

  private resolve(to: To, here: Here | undefined): Reached | undefined {
    const { kinds } = this.program
    if (to === "self") {
      return here && { ref: here.self, kind: here.life.spec.name, patience: here.life.spec.grace }
    }
    if ("child" in to) {
      const ref = here?.children.get(to.child)
      return ref && { ref, kind: "Child", patience: 400 }
    }
    const { grace, name } = kinds[to.kind]!
    return { ref: this.clients[to.kind]!(to.key), kind: name, patience: grace }
  }

  /** Sends, and writes down what comes of it. */
  private send(
    sender: string,
    here: Here | undefined,
    send: Send,
    deadline: number | undefined,
  ): Effect.Effect<unknown, unknown> {
    const { ledger, world } = this
    let sent: Sent | undefined
    const effect = Effect.onExitPrimitive(
      Effect.withFiber<unknown, unknown>((fiber) => {
        const reached = this.resolve(send.to, here)
        // Actors that set one another off for ever prove nothing more.
        if (reached === undefined || ledger.all.length > enough) return Effect.void
        const { kind, patience, ref } = reached
        const gone = typeof send.to === "object" && "kind" in send.to &&
          this.system.slot(kind).kind === undefined
        sent = ledger.sent(sender, ref.path, kind, send, patience, gone)
        world.atomic(fiber)
        const mail = { mail: sent }
        return send.how === "ask"
          ? ref.ask[send.tag](mail, {
            ...(send.within === undefined ? {} : { timeout: send.within }),
            ...(send.detach ? { onCancel: "detach" } : {}),
          })
          : ref[send.how][send.tag](
            mail,
            send.within === undefined ? undefined : { expires: send.within },
          )
      }),
      (exit) => {
        if (sent !== undefined) ledger.resolved(sent, exit)
        return undefined
      },
    )
    return deadline === undefined ? effect : Deadline.within(deadline)(effect)
  }

  private init(spec: KindSpec, definition: Actor.Single<Rpcs>) {
    const { ledger } = this
    return Effect.gen({ self: this }, function* () {
      const ctx = yield* ActorContext.ActorContext
      const life = yield* Effect.acquireRelease(
        Effect.sync(() => ledger.born(ctx.path, ctx.incarnation, spec)),
        (life) => Effect.sync(() => ledger.buried(life)),
      )
      const here: Here = {
        who: `${ctx.path} life ${life.number}`,
        life,
        ctx,
        self: yield* definition.self,
        children: new Map(),
        run: undefined,
        forks: [],
        firm: false,
        forked: false,
      }
      const { steps } = spec.inits[(life.number - 1) % spec.inits.length]!
      yield* this.perform(here, steps)
      life.ready = true
      const handler = ({ payload }: { readonly payload: { readonly mail: Sent } }) =>
        this.handle(here, payload.mail)
      return definition.of({
        Work: handler,
        High: handler,
        Low: handler,
        Again: handler,
        Firm: handler,
        Retry: handler,
      })
    })
  }

  private handle(here: Here, sent: Sent) {
    const { ledger } = this
    const { send: { steps }, tag } = sent
    const run = ledger.started(sent, here.life)
    if (steps[0]?.do === "throw") {
      run.exit = "die"
      ledger.over(run, false)
      throw new Error("thrown")
    }
    const who = `#${sent.id}.${run.order}`
    const forks: Here["forks"] = []
    const inside = { ...here, who, run, forks, firm: tag === "Firm" }
    return Effect.withFiber<number, Oops, Scope.Scope | ActorContext.ActorContext>((fiber) => {
      const frame = fiber.getRef(CurrentScope)
      const cancelled = () => frame.effectiveReason() !== undefined
      const cutShort = () =>
        frame.reason?._tag === "ParentEnded" && frame.reason.parent === here.life.path
      const work = Effect.andThen(
        Effect.acquireRelease(
          Effect.void,
          () => Effect.sync(() => ledger.over(run, cancelled(), cutShort())),
        ),
        Effect.ensuring(
          Effect.as(this.perform(inside, steps), sent.id),
          Effect.suspend(() => Fiber.interruptAll(forks)),
        ),
      )
      return Effect.onExitPrimitive(work, (exit) => {
        ledger.exited(run, exit)
        this.world.atomic(fiber)
        return undefined
      })
    })
  }

  /** A timer's or a watch's own work. */
  private control(here: Here, steps: ReadonlyArray<Step>): Effect.Effect<void> {
    const { life } = here
    const who = `${life.path} control ${++this.senders}`
    return Effect.suspend(() => {
      const over = this.ledger.control(life.path, life.spec.concurrency)
      return Effect.ensuring(
        Effect.scoped(Effect.orDie(this.perform({ ...here, who, run: undefined }, steps))),
        Effect.sync(over),
      )
    }).pipe(Effect.provideService(ActorContext.ActorContext, here.ctx))
  }

  private perform(here: Here, steps: ReadonlyArray<Step>): Work {
    return Effect.gen({ self: this }, function* () {
      for (const step of steps) yield* this.step(here, step)
    })
  }

  private step(here: Here, step: Step): Work {
    const { ctx, life } = here
    switch (step.do) {
      case "sleep": {
        const sleep = Effect.sleep(step.ms)
        return step.firm ? Effect.uninterruptible(sleep) : sleep
      }
      case "yield":
        return Effect.yieldNow
      case "never":
        return here.firm ? Effect.sleep(30) : Effect.never
      case "fail":
        return Effect.fail(new Oops())
      case "die":
        return Effect.die("died")
      case "throw":
        return Effect.sync(() => {
          throw new Error("thrown")
        })
      case "interrupt":
        return Effect.interrupt
      case "stash":
        // Two messages can put each other aside and back for ever.
        return here.run === undefined || here.run.sent.runs.length > 5
          ? Effect.void
          : Effect.uninterruptible(Effect.andThen(Effect.sleep(step.ms), ctx.stash))
      case "unstash":
        return ctx.unstashAll
      case "send": {
        const forked = step.forked ? ` fork ${++this.senders}` : ""
        const effect = Effect.asVoid(
          Effect.exit(this.send(here.who + forked, here, step, step.deadline)),
        )
        return step.forked ? this.fork(here, effect) : effect
      }
      case "spawn": {
        const definition = Actor.single("Child", protocol, optionsOf(step.kind))
        this.ledger.parentOf.set(`${life.path}/${step.name}`, life)
        return ctx.spawn(definition, step.name, this.init(step.kind, definition)).pipe(
          Effect.map((ref) => {
            here.children.set(step.name, ref)
          }),
          Effect.catchDefect((defect) =>
            defect instanceof Mistake ? Effect.void : Effect.die(defect)
          ),
        )
      }
      case "stop":
        return ctx.stop
      case "halt":
        return Effect.suspend(() => this.resolve(step.to, here)?.ref.stop ?? none)
      case "acquire":
        return this.acquire(here, step.release)
      case "fork": {
        const work = Effect.exit(
          this.perform({ ...here, who: `${here.who} fork`, forked: true }, step.steps),
        )
        return step.scoped
          ? Effect.asVoid(Effect.forkScoped(work, { startImmediately: true }))
          : this.fork(here, work)
      }
      case "finally": {
        const who = `${here.who} finally`
        const inside = { ...here, who, firm: true, run: undefined }
        const work = Effect.scoped(this.perform(inside, step.steps))
        return Effect.addFinalizer(() => Effect.asVoid(Effect.exit(work)))
      }
      case "watch":
        return Effect.suspend(() => {
          const reached = this.resolve(step.to, here)
          if (reached === undefined) return Effect.void
          return ctx.watch(reached.ref, () => this.control(here, step.steps))
        })
      case "timer":
        return ctx.timer(
          step.name,
          step.every ? { every: step.ms } : { after: step.ms },
          this.control(here, step.steps),
        )
      case "receiveTimeout":
        return ctx.receiveTimeout(step.ms, this.control(here, step.steps))
    }
  }

  private fork<R>(here: Here, work: Effect.Effect<unknown, never, R>) {
    return Effect.map(Effect.forkChild(work, { startImmediately: true }), (fiber) => {
      here.forks.push(fiber)
    })
  }

  private acquire({ forked, run, who }: Here, release: { ms: number; throws: boolean }): Work {
    const { resources } = this.ledger
    return Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => {
        const resource = { where: who, released: 0 }
        resources.push(resource)
        return resource
      }),
      (resource) =>
        Effect.gen(function* () {
          resource.released++
          if (release.ms > 0) yield* Effect.sleep(release.ms)
          if (!release.throws || forked) return
          if (run !== undefined) run.threw = true
          yield* Effect.die("a release threw")
        }),
    ))
  }

  /** The counters against the book; what each mailbox and each kind says of itself. */
  private check(all = false): void {
    const { ledger } = this
    const totals = ledger.totals(all)
    ledger.check()
    for (const kind of this.now(ActorSystem.ActorSystem.use(({ kinds }) => kinds))) {
      const { account } = kind
      const seen: Totals = {
        ...account.ended,
        sent: account.sent,
        queued: account.queued,
        running: account.running,
      }
      this.balance(kind.name, seen)
      const book = totals.get(kind.name) ?? noTotals()
      totals.delete(kind.name)
      for (const name of Object.keys(book) as ReadonlyArray<keyof Totals>) {
        if (seen[name] !== book[name]) {
          ledger.fault(`${kind.name} says ${seen[name]} ${name}, the book says ${book[name]}`)
        }
      }
    }
    for (const name of totals.keys()) ledger.fault(`no account of ${name}`)
    for (const spec of this.program.kinds) {
      const { kind } = this.system.slot(spec.name)
      if (kind === undefined) continue
      const cells = Array.from(kind.residents)
      for (const cell of cells) this.checkCell(cell)
      if (spec.keyed) this.checkResidents(spec, cells, kind.bounded.stats(this.world.now).inUse)
    }
  }

  /** Those in memory, and that they leave it. */
  private checkResidents(spec: KindSpec, cells: ReadonlyArray<Cell>, inUse: number): void {
    const { ledger, world } = this
    if (cells.length > spec.residents || cells.length !== inUse) {
      ledger.fault(`${spec.name}: ${cells.length} of ${spec.residents} in memory, ${inUse} counted`)
    }
    for (const cell of cells) {
      if (cell.isIdle ? cell.idleSince + spec.idle < world.now : forgotten(cell)) {
        ledger.fault(`${cell.path} has nothing to do and does not leave memory`)
      }
    }
  }

  /** Messages are discarded when an actor stops for good; one that leaves memory has none. */
  private checkDiscarded(system: ActorSystem.ActorSystem["unsafe"], path: string): void {
    const [name, key, child] = path.split("/")
    const { kind } = system.slot(name!)
    if (key === undefined || child !== undefined || !kind?.keyed) return
    if (kind.peek(key)?.status !== "closing") {
      this.ledger.fault(`${path} left memory, and a message was discarded`)
    }
  }

  /** The counts of the dead letters against the book. */
  private checkLetters(): void {
    const { ledger } = this
    const book = new Map<string, number>()
    for (const { kind, letters } of ledger.all) {
      for (const reason of letters) {
        book.set(`${kind} ${reason}`, (book.get(`${kind} ${reason}`) ?? 0) + 1)
      }
    }
    const counts = this.now(
      ActorSystem.ActorSystem.use(({ deadLetters }) => deadLetters.counts),
    )
    for (const { count, kind, reason } of counts) {
      const what = `${kind} ${reason}`
      if (book.get(what) !== count) {
        ledger.fault(`${count} letters ${what} are counted, the book says ${book.get(what)}`)
      }
      book.delete(what)
    }
    for (const what of book.keys()) ledger.fault(`no letters ${what} are counted`)
  }

  private checkCell(cell: Cell): void {
    const { mailbox } = cell
    const account = mailbox.account()
    this.balance(cell.path, { ...account.ended, ...account } as unknown as Totals)
    let held = 0
    for (const ticket of this.tickets) {
      if (ticket.open && ticket.bounded === mailbox.line?.bounded) held++
    }
    const inLine = account.queued - account.stashed - account.offering
    const { waiting } = mailbox.stats(this.world.now)
    if (waiting !== inLine + held) {
      this.ledger.fault(`${cell.path}: ${waiting} wait, but ${inLine} are queued and ${held} held`)
    }
    if (account.offering > 0 && waiting < mailbox.options.capacity) {
      this.ledger.fault(`${cell.path}: ${account.offering} wait for room, and there is room`)
    }
    for (const child of cell.children?.values() ?? []) this.checkCell(child)
  }

  private balance(name: string, totals: Totals): void {
    const { cancelled, discarded, dropped, expired, failed, handled, queued, rejected } = totals
    const sum = cancelled + discarded + dropped + expired + failed + handled + rejected +
      queued + totals.running
    if (sum !== totals.sent) {
      this.ledger.fault(`${name}: sent ${totals.sent}, but the sum is ${sum}`)
    }
  }
}

/** Messages of one program. */
const enough = 300

interface Reached {
  readonly ref: Ref
  readonly kind: string
  /** How long a cancelled handler may clean up. */
  readonly patience: number
}

/** It has nothing to do, and is not in the list of those that have not. */
const forgotten = (cell: Cell): boolean =>
  cell.status === "ready" && cell.quiet && cell.mailbox.offerers === 0 && !cell.attached &&
  !cell.stopping

const none: Effect.Effect<void> = Effect.void
