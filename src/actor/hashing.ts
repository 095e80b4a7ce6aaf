/** Spreads 32 bits over 32 bits, so that near inputs come out far apart (the finalizer of MurmurHash3). */
const mix = (bits: number): number => {
  let h = bits
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** FNV-1a over the UTF-16 code units, mixed. */
export const hash = (text: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return mix(h)
}

/**
 * How well a key fits to a member (rendezvous hashing): a key belongs to the member with the highest
 * weight, so another member takes keys only for itself, and a member that leaves gives away only its
 * own.
 */
export const weight = (key: number, member: number): number => mix(key ^ member)
