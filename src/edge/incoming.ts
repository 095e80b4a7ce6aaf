import { Option } from "effect"
import { HttpServerRequest } from "effect/http"
import { exchangeOf } from "./exchange.ts"

type Request_ = HttpServerRequest.HttpServerRequest
type Modification = Parameters<Request_["modify"]>[0]

/** The class behind `HttpServerRequest.fromWeb`, which Effect does not export. */
const Base = HttpServerRequest.fromWeb(new Request("http://localhost/")).constructor as new (
  source: Request,
  url: string,
) => Omit<Request_, "modify"> & { modify(options: Modification): Request_ }

/**
 * Effect's request, which also knows who sent it. The platform tells that only when asked, and most
 * handlers do not ask: so it is a getter, and a request costs one object as before.
 */
class Incoming extends Base {
  override get remoteAddress(): Option.Option<string> {
    try {
      const peer = exchangeOf(this)?.info?.remoteAddr
      return peer !== undefined && "hostname" in peer ? Option.some(peer.hostname) : Option.none()
    } catch {
      // The client has left, and the platform has forgotten it.
      return Option.none()
    }
  }

  // What this returns is of the class of Effect alone, so the address goes with it.
  override modify(options: Modification): Request_ {
    return super.modify({ remoteAddress: this.remoteAddress, ...options })
  }
}

/** The platform's request as Effect's, for the exchange that is attached to it. */
export const incoming = (source: Request, path: string = pathOf(source.url)): Request_ =>
  new Incoming(source, path)

/** The path of a URL with its query, which is what Effect calls the URL of a request. */
export const pathOf = (url: string): string => {
  const path = url.indexOf("/", url.indexOf("//") + 2)
  return path < 0 ? "/" : url.slice(path)
}
