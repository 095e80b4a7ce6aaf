/**
 * What the figures were taken on.
 */

/** For example `2 cores, x86_64, Deno 2.9.6, Node 20.20.2, load 0.4 before`. */
export const machine = async (): Promise<string> => {
  const node = await new Deno.Command("node", { args: ["--version"], stderr: "null" }).output()
    .then(({ stdout }) => `Node ${new TextDecoder().decode(stdout).trim().slice(1)}`)
    .catch(() => "no Node")
  const cpu = /^model name\s*: (.+)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1]
  return [
    `${navigator.hardwareConcurrency} cores`,
    cpu?.replaceAll(/\s+/g, " ") ?? Deno.build.arch,
    `Deno ${Deno.version.deno}`,
    node,
    `load ${Deno.loadavg()[0]!.toFixed(1)} before`,
  ].join(", ")
}
