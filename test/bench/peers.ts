/**
 * The packages of the peers: those of `test/bench/peers` alone.
 */
import { BenchError } from "./process.ts"

/** Installs the peers with npm, exactly as locked. Says why they cannot run, if they cannot. */
export const installPeers = async (): Promise<string | undefined> => {
  const cwd = new URL("./peers", import.meta.url).pathname
  const npm = (args: ReadonlyArray<string>) =>
    new Deno.Command("npm", { args: [...args], cwd, stdout: "piped", stderr: "piped" }).output()
      .catch(() => undefined)
  const lock = await Deno.readTextFile(`${cwd}/package-lock.json`)
  const mark = `${cwd}/node_modules/.installed-lock.json`
  if (await Deno.readTextFile(mark).catch(() => "") === lock) return undefined
  const done = await npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
  if (done === undefined) return "needs Node and npm on the PATH"
  if (!done.success) {
    throw new BenchError(
      `Cannot install the peers of the benchmark: \`npm ci\` failed in ${cwd}.\n` +
        new TextDecoder().decode(done.stderr),
    )
  }
  await Deno.writeTextFile(mark, lock)
  return undefined
}
