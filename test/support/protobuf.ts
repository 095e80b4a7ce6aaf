/** Reads protobuf's wire format by hand, so that what is sent is not judged by who has sent it. */

type Value = bigint | Uint8Array

/** The fields of a message, by number, in their order. */
export const fields = (bytes: Uint8Array): ReadonlyMap<number, ReadonlyArray<Value>> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = new Map<number, Array<Value>>()
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n;; shift += 7n) {
      const byte = view.getUint8(at++)
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  const slice = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw new Error(`field of ${length} bytes ends outside`)
    at += length
    return bytes.subarray(at - length, at)
  }
  const read = (wire: number): Value => {
    if (wire === 0) return varint()
    if (wire === 1) return new DataView(slice(8).slice().buffer).getBigUint64(0, true)
    if (wire === 2) return slice(Number(varint()))
    if (wire === 5) return slice(4)
    throw new Error(`wire type ${wire} at byte ${at}`)
  }
  while (at < bytes.length) {
    const key = Number(varint())
    const number = key >> 3
    found.set(number, [...found.get(number) ?? [], read(key & 7)])
  }
  return found
}

/** All messages at the end of that path of field numbers. */
export const messages = (bytes: Uint8Array, ...path: ReadonlyArray<number>): Array<Uint8Array> =>
  path.reduce(
    (all, number) =>
      all.flatMap((one) => (fields(one).get(number) ?? []).filter((_) => _ instanceof Uint8Array)),
    [bytes],
  )

/** The texts at the end of that path. */
export const texts = (bytes: Uint8Array, ...path: ReadonlyArray<number>): Array<string> =>
  messages(bytes, ...path).map((text) => new TextDecoder("utf-8", { fatal: true }).decode(text))
