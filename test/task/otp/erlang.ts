/** Runs scenarios on the real OTP, all at once in one process. */
import { fileURLToPath } from "node:url"
import { type Scenario, term } from "./scenario.ts"

const driver = fileURLToPath(new URL("./otp_driver.erl", import.meta.url))

const command = async (
  name: string,
  args: ReadonlyArray<string>,
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> => {
  const { code, stdout, stderr } = await new Deno.Command(name, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output()
  const text = new TextDecoder()
  return { code, out: text.decode(stdout), err: text.decode(stderr) }
}

/** Which OTP is here; `undefined` when there is none. */
export const release = async (): Promise<string | undefined> => {
  try {
    const { code, out } = await command("erl", [
      "-noshell",
      "-eval",
      "io:put_chars(erlang:system_info(otp_release)), halt().",
    ])
    return code === 0 ? out.trim() : undefined
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined
    throw error
  }
}

/** The events of each scenario, by its name. */
export const runOnOtp = async (
  scenarios: ReadonlyArray<Scenario>,
): Promise<ReadonlyMap<string, ReadonlyArray<string>>> => {
  const folder = await Deno.makeTempDir({ prefix: "weir-otp-" })
  try {
    const script = `${folder}/scenarios.term`
    await Deno.writeTextFile(script, scenarios.map(term).join(""))
    const compiled = await command("erlc", ["-Werror", "-o", folder, driver])
    if (compiled.code !== 0) throw new Error(`erlc: ${compiled.out}${compiled.err}`)
    const ran = await command("erl", [
      ...["-noshell", "-noinput", "-pa", folder],
      ...["-run", "otp_driver", "main", script],
    ])
    if (ran.code !== 0) throw new Error(`erl: ${ran.out}${ran.err}`)
    return new Map(
      ran.out.trim().split("\n").map((line) => {
        const [name, events] = line.split("\t")
        return [name!, events!.split(";")]
      }),
    )
  } finally {
    await Deno.remove(folder, { recursive: true })
  }
}
