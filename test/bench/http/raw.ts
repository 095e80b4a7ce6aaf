/**
 * The floor: `Deno.serve` and nothing else. `raw.ts PORT text|json|post`.
 */
import { helloText, portOf, stockOf } from "./shared.ts"

const handlers: Record<string, (request: Request) => Response | Promise<Response>> = {
  text: () => new Response(helloText),
  json: () => Response.json(stockOf("sku-1")),
  post: async (request) => {
    const order: { readonly sku: string; readonly count: number } = await request.json()
    return Response.json(stockOf(order.sku, order.count))
  },
}

Deno.serve(
  { port: portOf(), hostname: "127.0.0.1", onListen: () => {} },
  handlers[Deno.args[1] ?? ""]!,
)
