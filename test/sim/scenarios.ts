/**
 * The scenarios S0 to S17, as data.
 *
 * Where nothing else is said: one pool of 10 slots, 200 ms of work each (so 50 requests per second),
 * clients that leave after 1 s, arrivals that do not depend on answers.
 */
import type { Fault, Phase, Pool, Retry, Scenario, Work } from "./scenario.ts"

export type * from "./scenario.ts"

const pool: Pool = { capacity: 10, serviceMs: 200 }
const common = { pool, deadlineMs: 1000, bodyMs: 5 } as const

const calm = (name: string, seconds: number): Phase => ({ name, seconds, times: 0.8 })

/** 100 requests in one instant. Beside each deadline: how many can be served. */
export const burstOf100 = [[300, 10], [500, 20], [1100, 50], [3000, 100]] as const

const s0: ReadonlyArray<Scenario> = burstOf100.map(([deadlineMs]) => ({
  ...common,
  id: `S0/${deadlineMs}ms`,
  title: `100 requests in one instant, deadline ${deadlineMs} ms`,
  catches: "exact arithmetic, wasted work",
  bodyMs: 0,
  deadlineMs,
  routes: { main: { expectedMs: 200 } },
  phases: [{ name: "burst", seconds: 3, arrival: "burst", count: 100 }],
}))

const s1: Scenario = {
  ...common,
  id: "S1",
  title: "ramp from 0.5 to 20 times the capacity",
  catches: "the shape of the goodput curve",
  phases: [0.5, 1, 2, 5, 10, 20].map((times) => ({ name: `${times}x`, seconds: 10, times })),
}

/** The bound for unequal work knows each one's length beforehand, so it serves the short ones. */
const s1b = (id: string, title: string, serviceMs: Work): Scenario => ({
  ...common,
  id: `S1/${id}`,
  title: `from 0.8 to 10 times the capacity; ${title}`,
  catches: "estimates that one number cannot describe",
  pool: { capacity: 10, serviceMs },
  phases: [calm("before", 10), { name: "10x", seconds: 20, times: 10 }, calm("after", 10)],
})

const s2: Scenario = {
  ...common,
  id: "S2",
  title: "step from 0.8 to 10 times the capacity and back",
  catches: "reaction and recovery",
  phases: [calm("before", 10), { name: "spike", seconds: 10, times: 10 }, calm("after", 30)],
}

/**
 * The time after a change, in which who was let in just before or just after it still is there; then the
 * time in which nothing changes.
 */
const regime = (name: string, times: number, serviceMs: number): ReadonlyArray<Phase> => [
  { name: `${name}, change`, seconds: Math.max(2, 3 * serviceMs / 1000), times, serviceMs },
  { name, seconds: 10, times, serviceMs },
  // Who comes in the last second is still there when the next change comes.
  { name: `${name}, end`, seconds: 1, times, serviceMs },
]

const s3 = (times: number): Scenario => ({
  ...common,
  id: `S3/${times}x`,
  title: `at ${times} times the capacity the query takes 200, 400, 2000 and again 200 ms`,
  catches: "limits tuned for one service time, stale estimates",
  phases: [
    calm("before", 5),
    ...regime("200 ms", times, 200),
    ...regime("400 ms", times, 400),
    ...regime("2000 ms", times, 2000),
    ...regime("200 ms again", times, 200),
  ],
})

const s4 = (id: string, title: string, fault: Fault): Scenario => ({
  ...common,
  id: `S4/${id}`,
  title,
  catches: "breakers, cancellation",
  phases: [calm("before", 10), { ...calm("outage", 10), fault }, calm("after", 20)],
})

const retries: Readonly<Record<string, Retry>> = {
  fixed: { attempts: 3, wait: "fixed", baseMs: 100 },
  jitter: { attempts: 3, wait: "jitter", baseMs: 100 },
  "retry-after": { attempts: 3, wait: "jitter", baseMs: 100, honoursRetryAfter: "seconds" },
}

const s5: ReadonlyArray<Scenario> = Object.entries(retries).map(([id, retry]) => ({
  ...common,
  id: `S5/${id}`,
  title: `clients try three times (${id}), before, while and after the dependency refuses`,
  catches: "amplification",
  clients: { default: { retry } },
  phases: [calm("before", 10), { ...calm("outage", 10), fault: "refuse" }, calm("after", 20)],
}))

const s6: Scenario = {
  ...common,
  id: "S6",
  title: "0.9 times the capacity, a stall of 5 s, clients that try three times",
  catches: "does it come back by itself?",
  clients: { default: { retry: { attempts: 3, wait: "jitter", baseMs: 100 } } },
  phases: [
    { name: "before", seconds: 10, times: 0.9 },
    { name: "stall", seconds: 5, times: 0.9, fault: "stall" },
    { name: "after", seconds: 30, times: 0.9 },
  ],
}

/** Which clients of the herd come back when they are told to, and how exactly they are told. */
const herds = [
  ["S7", "1,000 requests in one tick", undefined],
  ["S7/return", "1,000 requests in one tick, and again when Retry-After says", "seconds"],
  ["S7/body", "the same, and again when the body of the refusal says", "milliseconds"],
] as const

const s7: ReadonlyArray<Scenario> = herds.map(([id, title, honoursRetryAfter]) => ({
  ...common,
  id,
  title,
  catches: "the path of acceptance, jitter",
  clients: {
    default: {},
    herd: honoursRetryAfter === undefined
      ? {}
      : { retry: { attempts: 3, wait: "fixed", baseMs: 0, honoursRetryAfter } },
  },
  phases: [
    { name: "before", seconds: 5, clients: { default: { times: 0.5 } } },
    {
      name: "herd",
      seconds: 10,
      clients: { default: { times: 0.5 }, herd: { arrival: "burst", count: 1000 } },
    },
  ],
}))

const s8: Scenario = {
  ...common,
  id: "S8",
  title: "low-priority load rises to 12 times the capacity, critical load stays at 0.5",
  catches: "protection of classes",
  clients: {
    critical: { class: "critical" },
    low: { class: "sheddable" },
  },
  phases: [
    {
      name: "before",
      seconds: 10,
      clients: { critical: { times: 0.2 }, low: { times: 0.5 } },
    },
    {
      name: "low x12",
      seconds: 20,
      clients: { critical: { times: 0.5 }, low: { times: 12 } },
    },
    {
      name: "after",
      seconds: 10,
      clients: { critical: { times: 0.2 }, low: { times: 0.5 } },
    },
  ],
}

const s9: Scenario = {
  ...common,
  id: "S9",
  title: "one of 20 tenants sends ten times its share",
  catches: "fairness",
  clients: {
    behaving: { tenants: 19 },
    noisy: { tenants: 1 },
  },
  phases: [
    {
      name: "before",
      seconds: 10,
      clients: { behaving: { times: 0.76 }, noisy: { times: 0.04 } },
    },
    {
      name: "noisy",
      seconds: 60,
      clients: { behaving: { times: 0.76 }, noisy: { times: 0.4 } },
    },
  ],
}

const s10: Scenario = {
  ...common,
  id: "S10",
  title: "two requests hold a slot a hundred times as long",
  catches: "culprits and victims",
  routes: { main: {}, whale: { serviceMs: 20_000 } },
  clients: {
    default: {},
    whale: { route: "whale", deadlineMs: 30_000 },
  },
  phases: [
    { name: "before", seconds: 10, clients: { default: { times: 0.7 } } },
    {
      name: "whales",
      seconds: 20,
      clients: { default: { times: 0.7 }, whale: { arrival: "burst", count: 2 } },
    },
    { name: "after", seconds: 10, clients: { default: { times: 0.7 } } },
  ],
}

const s11: Scenario = {
  ...common,
  id: "S11",
  title: "two routes, two pools, one of them at ten times its capacity",
  catches: "isolation",
  pools: { other: { capacity: 10, serviceMs: 50 } },
  routes: { main: {}, other: { pools: ["other"] } },
  clients: { default: {}, other: { route: "other" } },
  phases: [
    {
      name: "before",
      seconds: 10,
      clients: { default: { times: 0.5 }, other: { times: 0.5 } },
    },
    {
      name: "one saturated",
      seconds: 20,
      clients: { default: { times: 10 }, other: { times: 0.5 } },
    },
  ],
}

const s12: Scenario = {
  ...common,
  id: "S12",
  title: "each request also asks two actors, one of which is slow",
  catches: "backpressure from end to end",
  mailboxes: {
    quick: { capacity: 64, handleMs: 5 },
    slow: { capacity: 64, handleMs: 50 },
  },
  routes: { main: { mailboxes: ["quick", "slow"] } },
  phases: [
    { name: "before", seconds: 10, rate: 12 },
    { name: "twice what the slow one handles", seconds: 20, rate: 40 },
    { name: "after", seconds: 10, rate: 12 },
  ],
}

const s13: Scenario = {
  ...common,
  id: "S13",
  title: "100,000 requests, of which nine in ten leave at a random moment",
  catches: "leaked permits",
  pool: { capacity: 10, serviceMs: { lognormal: { meanMs: 20, cv: 1 } } },
  deadlineMs: 200,
  bodyMs: 20,
  clients: { default: { leaves: 0.9 } },
  phases: [{ name: "disconnects", seconds: 100, rate: 1000 }],
}

const s14 = (blocksLoopMs: number): Scenario => ({
  ...common,
  id: `S14/${blocksLoopMs}ms`,
  title: `a handler blocks the event loop for ${blocksLoopMs} ms, more often than there is time`,
  catches: "the layer of the event loop",
  pools: { none: { capacity: 1000, serviceMs: 0 } },
  routes: { main: {}, hog: { pools: ["none"], blocksLoopMs } },
  clients: { default: { class: "critical" }, hog: { route: "hog", class: "sheddable" } },
  phases: [
    { name: "before", seconds: 10, clients: { default: { times: 0.5 } } },
    {
      name: "hogs",
      seconds: 20,
      clients: { default: { times: 0.5 }, hog: { rate: 2000 / blocksLoopMs } },
    },
    { name: "after", seconds: 10, clients: { default: { times: 0.5 } } },
  ],
})

const s15 = (times: number): Scenario => ({
  ...common,
  id: `S15/${times}x`,
  title: `the process is told to stop at ${times} times its capacity`,
  catches: "the drain",
  phases: [calm("before", 5), { name: "until the end", seconds: 10, times }],
  stopAtMs: 13_000,
})

const s16: Scenario = {
  ...common,
  id: "S16",
  title: "ten minutes at ten times the capacity",
  catches: "the slope of memory",
  phases: [calm("before", 5), { name: "long", seconds: 600, times: 10 }],
}

const s17 = (times: number): Scenario => ({
  ...common,
  id: `S17/${times}x`,
  title: `a cold start at ${times} times the capacity`,
  catches: "nothing is known of the service time",
  phases: [{ name: "first second", seconds: 1, times }, { name: "start", seconds: 19, times }],
})

/** Every scenario, in order. */
export const scenarios: ReadonlyArray<Scenario> = [
  ...s0,
  s1,
  s1b("lognormal", "work is spread by half its mean", { lognormal: { meanMs: 200, cv: 0.5 } }),
  s1b("pareto", "most work is short, and one in a hundred takes a second", {
    pareto: { meanMs: 200, alpha: 1.8 },
  }),
  s1b("lucky", "one in a hundred takes 10 ms", {
    bimodal: { fastMs: 200, slowMs: 10, slowShare: 0.01 },
  }),
  s2,
  s3(0.4),
  s3(10),
  s3(20),
  s4("hang", "the dependency hangs for 10 s", "hang"),
  s4("refuse", "the dependency refuses for 10 s", "refuse"),
  s4("errors", "half of the work fails for 10 s", { errors: 0.5 }),
  ...s5,
  s6,
  ...s7,
  s8,
  s9,
  s10,
  s11,
  s12,
  s13,
  s14(50),
  s14(200),
  s15(1),
  s15(10),
  s16,
  s17(1),
  s17(10),
]

/** The scenario of that id, or all of a group: `S3` is `S3/0.4x`, `S3/10x` and `S3/20x`. */
export const select = (id: string): ReadonlyArray<Scenario> =>
  scenarios.filter((scenario) => scenario.id === id || scenario.id.startsWith(`${id}/`))
