/** The scenarios that a person thought of; numbers are the cases of OTP's own suite that they restate. */
import type { Child, Scenario, Step, Sup, Worker } from "./scenario.ts"

const a: Worker = { id: "a" }
const b: Worker = { id: "b" }
const c: Worker = { id: "c" }
const d: Worker = { id: "d" }
const abcd = [a, b, c, d]

const root = (children: ReadonlyArray<Child>, rest: Partial<Sup> = {}): Sup => ({
  id: "root",
  children,
  ...rest,
})

const kill = (id: string): Step => ["kill", id]
const leave = (id: string, how: "normal" | "shutdown" | "crash"): Step => ["leave", id, how]
const wait: Step = ["wait"]

/** One child of each restart type ends in each way: three scenarios for each type. */
const ends = (["permanent", "transient", "temporary"] as const).flatMap((restart) =>
  (["normal", "shutdown", "crash"] as const).map((how): Scenario => ({
    name: `a ${restart} child leaves with ${how}`,
    root: root([a, { id: "x", restart }, b], { intensity: 2 }),
    steps: [leave("x", how), leave("x", how)],
  }))
)

/** A significant child ends, for each way of shutting down and each way to end. */
const significant = (["any", "all"] as const).flatMap((autoShutdown) =>
  (["transient", "temporary"] as const).flatMap((restart) =>
    (["normal", "crash"] as const).map((how): Scenario => ({
      name: `significant ${restart} children leave with ${how}, shutting down with ${autoShutdown}`,
      root: root([
        a,
        { id: "x", restart, significant: true },
        b,
        { id: "y", restart, significant: true },
        c,
      ], { autoShutdown, intensity: 3 }),
      steps: [leave("x", how), leave("y", how), leave("x", how)],
    }))
  )
)

export const handwritten: ReadonlyArray<Scenario> = [
  ...ends,
  ...significant,
  { name: "nobody to supervise", root: root([]), steps: [wait] },
  { name: "starts in order and stops in reverse", root: root(abcd), steps: [] },
  {
    name: "one-for-one restarts only the one that failed",
    root: root([a, b]),
    steps: [kill("a"), wait, kill("b"), wait, kill("a")],
  },
  {
    name: "one-for-one gives up beyond its intensity",
    root: root([a, b], { intensity: 2 }),
    steps: [kill("a"), kill("a"), kill("a"), kill("b")],
  },
  {
    name: "an old failure does not count",
    root: root([a, b], { intensity: 2 }),
    steps: [kill("a"), kill("a"), wait, kill("a"), kill("a"), kill("a")],
  },
  {
    name: "children share the budget of their supervisor",
    root: root(abcd, { intensity: 2 }),
    steps: [kill("a"), kill("b"), kill("c")],
  },
  {
    name: "an intensity of 0 never restarts",
    root: root([a, b], { intensity: 0 }),
    steps: [leave("b", "normal")],
  },
  {
    name: "one-for-all restarts all",
    root: root(abcd, { strategy: "one-for-all" }),
    steps: [kill("b"), wait, kill("d"), wait, kill("a")],
  },
  {
    name: "one-for-all gives up beyond its intensity",
    root: root(abcd, { strategy: "one-for-all" }),
    steps: [kill("b"), kill("c")],
  },
  {
    name: "one-for-all forgets temporary children and starts those that had left",
    root: root([a, { id: "t", restart: "temporary" }, { id: "n", restart: "transient" }, d], {
      strategy: "one-for-all",
      intensity: 3,
    }),
    steps: [leave("n", "normal"), kill("a"), leave("n", "normal"), kill("d")],
  },
  {
    name: "one-for-all starts also what was terminated on purpose",
    root: root(abcd, { strategy: "one-for-all" }),
    steps: [["terminate", "root", "c"], kill("a")],
  },
  {
    name: "one-for-all when a sibling does not start again",
    root: root([a, { id: "f", starts: ["ok", "error", "ok"] }, c], {
      strategy: "one-for-all",
      intensity: 3,
    }),
    steps: [kill("a"), kill("c")],
  },
  {
    name: "one-for-all when a sibling never starts again",
    root: root([a, { id: "f", starts: ["ok", "error"] }, c], {
      strategy: "one-for-all",
      intensity: 3,
    }),
    steps: [kill("c")],
  },
  {
    name: "rest-for-one restarts the one that failed and those after it",
    root: root(abcd, { strategy: "rest-for-one" }),
    steps: [kill("b"), wait, kill("d"), wait, kill("a")],
  },
  {
    name: "rest-for-one forgets temporary children behind the one that failed",
    root: root([{ id: "t", restart: "temporary" }, a, { id: "u", restart: "temporary" }, b], {
      strategy: "rest-for-one",
    }),
    steps: [kill("a"), kill("t")],
  },
  {
    name: "rest-for-one when one behind does not start again",
    root: root([a, b, { id: "f", starts: ["ok", "error", "error", "ok"] }, d], {
      strategy: "rest-for-one",
      intensity: 4,
    }),
    steps: [kill("b"), kill("f"), kill("d")],
  },
  {
    name: "rest-for-one when one behind never starts again",
    root: root([a, b, { id: "f", starts: ["ok", "error"] }, d], {
      strategy: "rest-for-one",
      intensity: 2,
    }),
    steps: [kill("b")],
  },
  {
    name: "a restart that fails at first",
    root: root([a, { id: "f", starts: ["ok", "error", "error", "ok"] }, c], { intensity: 3 }),
    steps: [kill("f"), kill("f")],
  },
  {
    name: "a restart that fails too often ends its siblings as well",
    root: root([a, { id: "f", starts: ["ok", "error"] }, c], { intensity: 3 }),
    steps: [kill("f"), kill("a")],
  },
  {
    name: "a child that does not start leaves nothing running",
    root: root([a, b, { id: "f", starts: ["error"] }, d]),
    steps: [],
  },
  {
    name: "a nested child that does not start leaves nothing running",
    root: root([a, { id: "s", children: [b, { id: "f", starts: ["error"] }] }, d]),
    steps: [],
  },
  {
    name: "a child that declines leaves a place without a process",
    root: root([a, { id: "i", starts: ["ignore", "ok"] }, c]),
    steps: [["restart", "root", "i"], kill("i"), ["terminate", "root", "i"]],
  },
  {
    name: "a temporary child that declines is forgotten",
    root: root([a, { id: "i", restart: "temporary", starts: ["ignore"] }, c]),
    steps: [["restart", "root", "i"], ["start", "root", { id: "i" }]],
  },
  {
    name: "a child that declines its restart",
    root: root([a, { id: "i", starts: ["ok", "ignore", "ok"] }, c]),
    steps: [kill("i"), ["restart", "root", "i"]],
  },
  {
    name: "stop: a child that ignores it is given up after its time",
    root: root([a, { id: "s", shutdown: 40, stubborn: true }, c]),
    steps: [["terminate", "root", "s"], ["restart", "root", "s"]],
  },
  {
    name: "stop: brutal for one child only",
    root: root([a, { id: "x", shutdown: "brutal" }, c]),
    steps: [["terminate", "root", "x"], ["restart", "root", "x"]],
  },
  {
    name: "stop: brutal for a child that ignores it",
    root: root([a, { id: "x", shutdown: "brutal", stubborn: true }, c], {
      strategy: "one-for-all",
    }),
    steps: [kill("a")],
  },
  {
    name: "stop: without limit",
    root: root([{ id: "x", shutdown: "infinity" }, { id: "y", shutdown: "infinity" }]),
    steps: [["terminate", "root", "x"]],
  },
  {
    name: "terminate, restart and delete of a child",
    root: root([a, b]),
    steps: [
      ["restart", "root", "a"],
      ["delete", "root", "a"],
      ["terminate", "root", "a"],
      ["terminate", "root", "a"],
      ["restart", "root", "a"],
      ["terminate", "root", "a"],
      ["delete", "root", "a"],
      ["restart", "root", "a"],
      ["terminate", "root", "a"],
      ["delete", "root", "a"],
    ],
  },
  {
    name: "terminate forgets a temporary child",
    root: root([a, { id: "t", restart: "temporary" }]),
    steps: [["terminate", "root", "t"], ["restart", "root", "t"]],
  },
  {
    name: "terminate does not count as an end of a significant child",
    root: root([a, { id: "x", restart: "transient", significant: true }], { autoShutdown: "any" }),
    steps: [["terminate", "root", "x"], ["restart", "root", "x"], leave("x", "normal")],
  },
  {
    name: "start of a child that is there, runs or not",
    root: root([a, b]),
    steps: [
      ["start", "root", a],
      ["terminate", "root", "a"],
      ["start", "root", a],
      ["delete", "root", "a"],
      ["start", "root", a],
    ],
  },
  {
    name: "children started later stop first",
    root: root([a], { strategy: "rest-for-one" }),
    steps: [["start", "root", b], ["start", "root", c], kill("b"), ["start", "root", d]],
  },
  {
    name: "a child that does not start later is forgotten",
    root: root([a]),
    steps: [["start", "root", { id: "f", starts: ["error", "ok"] }], [
      "start",
      "root",
      { id: "f" },
    ]],
  },
  {
    name: "a restart on demand that fails",
    root: root([a, { id: "f", starts: ["ok", "error", "ok"] }]),
    steps: [["terminate", "root", "f"], ["restart", "root", "f"], ["restart", "root", "f"]],
  },
  {
    name: "escalation: the supervisor above restarts the one that gave up",
    root: root([a, { id: "s", intensity: 1, children: [b, c] }, d], { intensity: 1 }),
    steps: [kill("b"), kill("c"), kill("b"), kill("b")],
  },
  {
    name: "escalation to one-for-all above",
    root: root([a, { id: "s", intensity: 0, children: [b, c] }, d], { strategy: "one-for-all" }),
    steps: [kill("c"), wait, kill("b")],
  },
  {
    name: "escalation through three levels",
    root: root([
      a,
      { id: "s", intensity: 0, children: [b, { id: "t", intensity: 0, children: [c] }] },
      d,
    ], { intensity: 1 }),
    steps: [kill("c"), kill("c")],
  },
  {
    name: "a temporary supervisor that gives up is forgotten",
    root: root([a, { id: "s", restart: "temporary", intensity: 0, children: [b] }, d]),
    steps: [kill("b"), ["restart", "root", "s"]],
  },
  {
    name: "a transient supervisor that ends with its significant child stays ended",
    root: root([a, {
      id: "s",
      restart: "transient",
      autoShutdown: "any",
      children: [b, { id: "x", restart: "temporary", significant: true }],
    }, d]),
    steps: [leave("x", "crash"), ["restart", "root", "s"]],
  },
  {
    name: "a significant supervisor ends the one above it",
    root: root([a, {
      id: "s",
      restart: "transient",
      significant: true,
      autoShutdown: "all",
      children: [{ id: "x", restart: "transient", significant: true }, b],
    }], { autoShutdown: "all" }),
    steps: [leave("x", "normal")],
  },
  {
    name: "terminate a supervisor with its children, and start it again",
    root: root([a, { id: "s", children: [b, { id: "t", children: [c] }] }, d]),
    steps: [["terminate", "root", "s"], ["restart", "root", "s"], kill("c")],
  },
  {
    name: "a tree stops in reverse, depth first",
    root: root([
      { id: "s", children: [a, { id: "t", children: [b] }] },
      { id: "u", strategy: "rest-for-one", children: [c, d] },
      { id: "z" },
    ]),
    steps: [],
  },
  {
    name: "rest-for-one with supervisors behind the one that failed",
    root: root([a, { id: "s", children: [b] }, { id: "t", children: [c, d] }], {
      strategy: "rest-for-one",
    }),
    steps: [kill("a"), kill("c")],
  },
]
