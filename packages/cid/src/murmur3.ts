// Murmur3 x64 128 by Austin Appleby, https://github.com/aappleby/smhasher (public domain). A 64-bit number is two of 32 bits,
// in variables and not in objects: `@multiformats/murmur3`, the oracle of the tests, takes three times as long and leaves
// 3 kB of garbage for each name, which was a tenth of the time to add many small files.

/** The high half of what a function returned the low half of. */
let high = 0

/** The product of two 32-bit numbers: the high half of its 64 bits. */
function highOfProduct(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const second = aLow * bHigh + (middle & 0xffff)
  return aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(second / 0x10000)
}

function multiply(aHigh: number, aLow: number, bHigh: number, bLow: number): number {
  high = (highOfProduct(aLow, bLow) + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) >>> 0
  return Math.imul(aLow, bLow) >>> 0
}

/** @param by - Less than 32, and not 0. */
function rotate(aHigh: number, aLow: number, by: number): number {
  high = ((aHigh << by) | (aLow >>> (32 - by))) >>> 0
  return ((aLow << by) | (aHigh >>> (32 - by))) >>> 0
}

function add(aHigh: number, aLow: number, bHigh: number, bLow: number): number {
  const low = aLow + bLow
  high = (aHigh + bHigh + (low > 0xffffffff ? 1 : 0)) >>> 0
  return low >>> 0
}

/** Mixes the bits of the end. */
function mix(aHigh: number, aLow: number): number {
  let low = (aLow ^ (aHigh >>> 1)) >>> 0
  low = multiply(aHigh, low, 0xff51afd7, 0xed558ccd)
  low = (low ^ (high >>> 1)) >>> 0
  low = multiply(high, low, 0xc4ceb9fe, 0x1a85ec53)
  return (low ^ (high >>> 1)) >>> 0
}

/** The first 64 bits of murmur3 x64 128 with seed 0: 8 bytes, most significant first, as a HAMT takes them. */
export function murmur3x64(bytes: Uint8Array): Uint8Array {
  let h1Low = 0
  let h1High = 0
  let h2Low = 0
  let h2High = 0
  const byteAt = (at: number): number => bytes[at] ?? 0
  const wordAt = (at: number): number =>
    (byteAt(at) | (byteAt(at + 1) << 8) | (byteAt(at + 2) << 16) | (byteAt(at + 3) << 24)) >>> 0

  for (let at = 0; at < bytes.length; at += 16) {
    // Of what is behind the end, nothing changes anything.
    let low = multiply(wordAt(at + 4), wordAt(at), 0x87c37b91, 0x114253d5)
    low = rotate(high, low, 31)
    low = multiply(high, low, 0x4cf5ad43, 0x2745937f)
    h1Low = (h1Low ^ low) >>> 0
    h1High = (h1High ^ high) >>> 0
    const isWhole = at + 16 <= bytes.length
    if (isWhole) {
      low = rotate(h1High, h1Low, 27)
      low = add(high, low, h2High, h2Low)
      low = multiply(high, low, 0, 5)
      h1Low = add(high, low, 0, 0x52dce729)
      h1High = high
    }
    low = multiply(wordAt(at + 12), wordAt(at + 8), 0x4cf5ad43, 0x2745937f)
    // By 33: the halves change places.
    low = rotate(low, high, 1)
    low = multiply(high, low, 0x87c37b91, 0x114253d5)
    h2Low = (h2Low ^ low) >>> 0
    h2High = (h2High ^ high) >>> 0
    if (isWhole) {
      low = rotate(h2High, h2Low, 31)
      low = add(high, low, h1High, h1Low)
      low = multiply(high, low, 0, 5)
      h2Low = add(high, low, 0, 0x38495ab5)
      h2High = high
    }
  }

  h1Low = (h1Low ^ bytes.length) >>> 0
  h2Low = (h2Low ^ bytes.length) >>> 0
  h1Low = add(h1High, h1Low, h2High, h2Low)
  h1High = high
  h2Low = add(h2High, h2Low, h1High, h1Low)
  h2High = high
  h1Low = mix(h1High, h1Low)
  h1High = high
  h2Low = mix(h2High, h2Low)
  h2High = high
  h1Low = add(h1High, h1Low, h2High, h2Low)
  h1High = high
  return Uint8Array.of(
    h1High >>> 24,
    h1High >>> 16,
    h1High >>> 8,
    h1High,
    h1Low >>> 24,
    h1Low >>> 16,
    h1Low >>> 8,
    h1Low,
  )
}
