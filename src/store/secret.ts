/** The text of an API key: `weir_<id>_<secret><checksum>`. */
import { Redacted } from "effect"
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/** 95 bits: no two keys meet. It is no secret, and says nothing of one. */
const idLength = 16
/** 256 bits. */
const secretLength = 43
/** So that a scanner finds lost keys by their shape alone, and a typing error costs no look-up. */
const sumLength = 6

/** What goes before the id, when nothing else is set. */
export const prefix = "weir"

/** Letters and digits only: a double click selects all of it. */
const random = (length: number): string => {
  let text = ""
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      // 248 is the last multiple of 62: beyond it some letters would be more frequent.
      if (byte < 248 && text.length < length) text += alphabet[byte % 62]
    }
  }
  return text
}

const sum = (text: string): string => {
  let rest = createHash("sha256").update(text).digest().readUInt32BE(0)
  let sum = ""
  for (let i = 0; i < sumLength; i++) {
    sum = alphabet[rest % 62] + sum
    rest = Math.floor(rest / 62)
  }
  return sum
}

/**
 * What is stored of a secret. A fast hash is right here: nobody can go through 2^256 secrets, however
 * fast. Slow ones (argon2, bcrypt) are for passwords, which people choose from a few million; they
 * would let anybody who sends wrong keys use up the processor.
 */
export const hashOf = (secret: string): Uint8Array => createHash("sha256").update(secret).digest()

/** Compares in constant time. */
export const matches = (hash: Uint8Array, secret: string): boolean =>
  timingSafeEqual(hash, hashOf(secret))

/** A new key: the whole of it, and what is stored. */
export const issue = (
  prefix: string,
): { readonly id: string; readonly hash: Uint8Array; readonly key: Redacted.Redacted<string> } => {
  const id = random(idLength)
  const secret = random(secretLength)
  const head = `${prefix}_${id}_${secret}`
  return { id, hash: hashOf(secret), key: Redacted.make(head + sum(head), { label: "api key" }) }
}

/** The id in a text that has the shape of a key; cheap, and says nothing of the rest. */
export const idOf = (prefix: string, text: string): string | undefined => {
  const id = prefix.length + 1
  const secret = id + idLength + 1
  return text.length === secret + secretLength + sumLength && text.startsWith(prefix) &&
      text[id - 1] === "_" && text[secret - 1] === "_"
    ? text.slice(id, secret - 1)
    : undefined
}

/** The secret in a text of that shape, if its checksum is right. */
export const secretOf = (text: string): string | undefined => {
  const end = text.length - sumLength
  return sum(text.slice(0, end)) === text.slice(end)
    ? text.slice(end - secretLength, end)
    : undefined
}

/** Compares two texts in a time that depends on their lengths alone. */
export const same = (one: string, other: string): boolean => {
  let different = one.length ^ other.length
  for (let i = 0; i < one.length; i++) different |= one.charCodeAt(i) ^ other.charCodeAt(i)
  return different === 0
}
