/**
 * The bytes of a request.
 */
import type { Stream } from "./job.ts"

const encoder = new TextEncoder()

export const requestBytes = (
  stream: Pick<Stream, "method" | "path" | "headers" | "body">,
  host: string,
  port: number,
): Uint8Array<ArrayBuffer> => {
  const { method = "GET", path, headers = {}, body } = stream
  const head = [`${method} ${path} HTTP/1.1`, `Host: ${host}:${port}`]
  for (const [name, value] of Object.entries(headers)) head.push(`${name}: ${value}`)
  if (body !== undefined) {
    if (!Object.keys(headers).some((name) => name.toLowerCase() === "content-type")) {
      head.push("Content-Type: application/json")
    }
    head.push(`Content-Length: ${encoder.encode(body).length}`)
  }
  return encoder.encode(`${head.join("\r\n")}\r\n\r\n${body ?? ""}`)
}
