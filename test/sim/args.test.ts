import { describe, expect, it } from "@effect/vitest"
import { parse, usage } from "./args.ts"
import { policies } from "./controls.ts"
import { scenarios } from "./scenarios.ts"

const run = (...args: ReadonlyArray<string>) => {
  const command = parse(args, policies)
  if (command._tag === "Help") throw new Error("help")
  return {
    ...command,
    scenarios: command.scenarios.map(({ id }) => id),
    policies: command.policies.map(({ name }) => name),
  }
}

describe("deno task sim", () => {
  it("runs everything unless it is told otherwise", () => {
    expect(run()).toMatchObject({
      scenarios: scenarios.map(({ id }) => id),
      policies: policies.map(({ name }) => name),
      seed: 1,
      phases: false,
      json: undefined,
    })
  })

  it("takes scenarios, groups of them, policies, a seed and a file", () => {
    expect(run("S3", "S7/return", "--policy", "weir,none", "--seed", "7", "--json", "a.json"))
      .toMatchObject({
        scenarios: ["S3/0.4x", "S3/10x", "S3/20x", "S7/return"],
        policies: ["weir", "none"],
        seed: 7,
        json: "a.json",
      })
  })

  it.each([
    [["S99"], "There is no scenario"],
    [["--policy", "magic"], "There is no policy"],
    [["--policy", " , "], "--policy takes names"],
    [["--seed", "1.5"], "--seed takes a whole number"],
    [["--seed", "-1"], "See deno task sim --help"],
    [["--sed", "1"], "See deno task sim --help"],
    [["--json", ""], "--json takes the name of a file"],
  ])("refuses %j with a sentence", (args, sentence) => {
    expect(() => parse(args, policies)).toThrow(sentence)
  })

  it("has a help text that names every scenario and every policy", () => {
    const text = usage(policies)
    for (const { id } of scenarios) expect(text).toContain(id)
    for (const { name } of policies) expect(text).toContain(name)
    expect(parse(["--help"], policies)).toEqual({ _tag: "Help" })
  })
})
