// What one can write by hand in thirty lines: refuse what cannot end before its deadline. The upper
// reference, so that nobody is compared with weak opposition alone.
export class Infeasible extends Error {}

export const feasibility = ({ slots, deadlineMs, reserve = 0.02 }) => {
  let meanMs = 0
  let running = []
  const line = []
  const wait = () => {
    const free = slots - running.length
    if (line.length < free) return 0
    const waves = Math.floor(line.length / slots)
    const ahead = running[line.length % slots] ?? performance.now()
    return waves * meanMs + Math.abs(meanMs - (performance.now() - ahead))
  }
  const next = () => {
    while (running.length < slots && line.length > 0) {
      const { work, until, resolve, reject } = line.shift()
      const began = performance.now()
      if (began + meanMs > until) {
        reject(new Infeasible())
        continue
      }
      running.push(began)
      work().then((value) => {
        const ms = performance.now() - began
        meanMs = Math.abs(ms - meanMs) > meanMs / 2 ? ms : meanMs + (ms - meanMs) / 8
        resolve(value)
      }, reject).finally(() => {
        running = running.toSpliced(running.indexOf(began), 1)
        next()
      })
    }
  }
  return (work) => {
    const now = performance.now()
    if ((wait() + meanMs) * (1 + reserve) > deadlineMs) return Promise.reject(new Infeasible())
    return new Promise((resolve, reject) => {
      line.push({ work, until: now + deadlineMs, resolve, reject })
      next()
    })
  }
}
