import { getHeapStatistics } from "node:v8"

/** V8's own limit on the heap, in bytes. */
export const heapLimit = (): number => getHeapStatistics().heap_size_limit

/** Version 2, then version 1; version 1 says "no limit" with a number that no machine has. */
const files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
const unreal = 2 ** 50

/** The limit of the process's cgroup in bytes; `Infinity` when there is none, or it is not ours to read. */
export const cgroupLimit = (): number => {
  // Deno shows what lies below /sys only to programs that may do everything, and must not ask for it.
  if (Deno.build.os !== "linux") return Infinity
  for (const path of files) {
    if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") continue
    try {
      const bytes = Number(Deno.readTextFileSync(path))
      if (bytes > 0 && bytes < unreal) return bytes
    } catch {
      // The other version, or not allowed after all.
    }
  }
  return Infinity
}
