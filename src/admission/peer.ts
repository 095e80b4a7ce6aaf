import type { Caller } from "./Caller.ts"

/** Somebody without a principal, known by the address of the socket. */
export class Peer implements Caller {
  readonly id: string
  /** No tenant has this name. */
  readonly tenant = ""
  readonly criticality = undefined

  constructor(address: string) {
    this.id = network(address)
  }
}

/**
 * Who counts as one: an IPv4 address, also where it is written as IPv6, or the first 64 bits of an
 * IPv6 address, of which one customer usually has all.
 */
export const network = (address: string): string => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped !== null) return mapped[1]!
  if (!address.includes(":")) return address
  const [head = "", tail] = address.split("%", 1)[0]!.split("::")
  const groups = (part: string) => part === "" ? [] : part.split(":")
  const first = groups(head)
  if (tail !== undefined) {
    const last = groups(tail)
    // An IPv4 address at the end stands for two groups.
    const size = last.length + (tail.includes(".") ? 1 : 0)
    while (first.length + size < 8) first.push("0")
    first.push(...last)
  }
  return first.slice(0, 4).map((group) => group.toLowerCase().replace(/^0+(?=.)/, "")).join(":")
}
