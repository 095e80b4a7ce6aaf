// The pool that all subjects of the suite `overload` share: 10 connections, first in first out, no
// bound on the line and none on the wait, no way to end a query that runs. These are the defaults of
// `pg.Pool`; a query is a timer. A second port changes the time of a query and tells what happened.
import { createServer } from "node:http"

export const makePool = (size = 10) => {
  let ms = 200
  const line = []
  const seen = { started: 0, completed: 0, running: 0, mostRunning: 0, mostWaiting: 0 }
  const next = () => {
    while (seen.running < size && line.length > 0) {
      const answer = line.shift()
      const number = ++seen.started
      const began = performance.now()
      seen.mostRunning = Math.max(seen.mostRunning, ++seen.running)
      setTimeout(() => {
        seen.running--
        seen.completed++
        answer({ query: number, ms: Math.round(performance.now() - began) })
        next()
      }, ms)
    }
  }
  return {
    /** @returns {Promise<{ query: number, ms: number }>} */
    query: () =>
      new Promise((answer) => {
        line.push(answer)
        next()
        seen.mostWaiting = Math.max(seen.mostWaiting, line.length)
      }),
    /** What a query takes now, in ms. */
    ms: () => ms,
    /**
     * @param {number} port
     * @param {() => object} more what else the subject has seen
     */
    control: (port, more = () => ({})) => {
      createServer((request, response) => {
        const url = new URL(request.url ?? "/", "http://127.0.0.1")
        if (url.pathname === "/query") ms = Number(url.searchParams.get("ms"))
        response.setHeader("content-type", "application/json")
        response.end(JSON.stringify({ ...seen, waiting: line.length, ms, ...more() }))
      }).listen(port, "127.0.0.1")
    },
  }
}
