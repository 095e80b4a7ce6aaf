/**
 * Where load may go: to this machine, and nowhere else.
 */

/** A mistake in what was asked for: one sentence, no stack. */
export class LoadError extends Error {}

export interface Target {
  /** An IPv4 address. */
  readonly host: string
  readonly port: number
  readonly path: string
}

/** Reads a URL. Throws a {@link LoadError} for everything that is not plain HTTP to 127.0.0.0/8. */
export const targetOf = (text: string): Target => {
  const url = URL.parse(text)
  if (url === null) {
    throw new LoadError(`"${text}" is no URL. Write one such as http://127.0.0.1:8080/products.`)
  }
  if (url.protocol !== "http:") {
    throw new LoadError(`Only http:// can be loaded, not ${url.protocol}// – use the plain port.`)
  }
  if (url.username !== "" || url.password !== "") {
    throw new LoadError("A URL with a password is not supported. Send it with --header.")
  }
  const host = url.hostname === "localhost" ? "127.0.0.1" : url.hostname
  // The parser has already turned 127.1 and 0x7f.0.0.1 into four decimal parts.
  if (!/^127\.\d+\.\d+\.\d+$/.test(host)) {
    throw new LoadError(
      `${url.hostname} is not this machine. Load goes to 127.0.0.1 or localhost alone; ` +
        "run the generator beside the service.",
    )
  }
  return { host, port: Number(url.port || 80), path: `${url.pathname}${url.search}` }
}
