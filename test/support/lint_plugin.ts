/**
 * House rules for `src`: time, chance and output go through Effect, so that a test can replace them.
 */
const calls: Record<string, string> = {
  "Date.now": "Read the time from Effect's Clock.",
  "performance.now": "Read the time from Effect's Clock.",
  "Math.random": "Draw random numbers from Effect's Random.",
  setTimeout: "Use Effect.sleep, or a timer that a scope owns.",
  setInterval: "Use Effect.repeat with a Schedule.",
  queueMicrotask: "Use Effect.yieldNow.",
}

/** The socket adapter talks to the platform: there a shared timer is the cheapest tool. */
const adapters = ["/src/edge/Server.ts"]

const nameOf = (callee: Deno.lint.Node): { object?: string; name?: string } => {
  if (callee.type === "Identifier") return { name: callee.name }
  if (callee.type !== "MemberExpression" || callee.object.type !== "Identifier") return {}
  if (callee.property.type !== "Identifier") return {}
  return { object: callee.object.name, name: `${callee.object.name}.${callee.property.name}` }
}

const plugin: Deno.lint.Plugin = {
  name: "weir",
  rules: {
    "effects-in-src": {
      create: (context) => ({
        CallExpression(node) {
          const file = context.filename.replaceAll("\\", "/")
          if (!file.includes("/src/") || file.includes("/console/")) return
          const { object, name } = nameOf(node.callee)
          if (name === undefined) return
          if (object === "console") {
            context.report({ node, message: `${name} in src`, hint: "Use Effect.log." })
          } else if (Object.hasOwn(calls, name) && !adapters.some((_) => file.endsWith(_))) {
            context.report({ node, message: `${name} in src`, hint: calls[name] as string })
          }
        },
        NewExpression(node) {
          const file = context.filename.replaceAll("\\", "/")
          if (!file.includes("/src/") || node.arguments.length > 0) return
          if (node.callee.type === "Identifier" && node.callee.name === "Date") {
            context.report({ node, message: "new Date() in src", hint: "Use Effect's Clock." })
          }
        },
      }),
    },
  },
}

export default plugin
