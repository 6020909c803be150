import * as fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { describe, expect, it } from 'vitest'

import { readUnixfsData } from '../src/read-unixfs-data.ts'

const bytesOf = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes)

/** As `ipfs-unixfs` reads it, in our words. */
function oracle(bytes: Uint8Array): ReturnType<typeof readUnixfsData> {
  const { type, data, blockSizes, fanout, mode = 0 } = UnixFS.unmarshal(bytes)
  return {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    type: (type === 'hamt-sharded-directory' ? 'shard' : type) as ReturnType<typeof readUnixfsData>['type'],
    data,
    blockSizes: blockSizes.map(Number),
    fanout: fanout === undefined ? undefined : Number(fanout),
    mode,
  }
}

/** Their writer breaks sizes from 2^31 to 2^32, and that of the file is the sum of these; see `encodeUnixfsData`. */
const sizes = fc.oneof(fc.bigInt(0n, 2n ** 28n), fc.bigInt(2n ** 32n, 2n ** 53n))
const messages = fc.record(
  {
    type: fc.constantFrom('raw', 'directory', 'file', 'metadata', 'symlink', 'hamt-sharded-directory'),
    data: fc.uint8Array({ maxLength: 300 }),
    blockSizes: fc.array(sizes, { maxLength: 5 }),
    hashType: fc.bigInt(0n, 255n),
    fanout: fc.bigInt(0n, 2n ** 20n),
    mode: fc.nat(0o177777),
    mtime: fc.record({ secs: fc.bigInt(0n, 2n ** 30n), nsecs: fc.nat(999_999_999) }),
  },
  { requiredKeys: ['type'] },
)
function outcomeOf(bytes: Uint8Array): unknown {
  try {
    return typeof readUnixfsData(bytes).type
  } catch (error) {
    return error instanceof RangeError || error instanceof TypeError ? error : 'string'
  }
}

/** Fields that are not known: a number, eight bytes, four bytes, a text. */
const unknown = [
  [0x78, 0xff, 0x01],
  [0x79, 1, 2, 3, 4, 5, 6, 7, 8],
  [0x7d, 1, 2, 3, 4],
  [0x7a, 2, 1, 2],
]

describe('readUnixfsData', () => {
  it('reads what ipfs-unixfs reads, with unknown fields in front and behind', () => {
    fc.assert(
      fc.property(
        messages,
        fc.constantFrom([], ...unknown),
        fc.constantFrom([], ...unknown),
        (given, front, behind) => {
          const bytes = bytesOf(...front, ...new UnixFS(given).marshal(), ...behind)
          expect(readUnixfsData(bytes)).toEqual(oracle(bytes))
        },
      ),
      { numRuns: 1000 },
    )
  })

  // They take a number that is cut short for a smaller one.
  it('reads what is left of a message as ipfs-unixfs does, or refuses it', () => {
    fc.assert(
      fc.property(messages, fc.double({ min: 0, max: 1, noNaN: true }), (given, part) => {
        const whole = new UnixFS(given).marshal()
        const bytes = whole.slice(0, Math.floor(part * whole.length))
        let read: unknown
        try {
          read = readUnixfsData(bytes)
        } catch {
          return
        }
        expect(read).toEqual(oracle(bytes))
      }),
      { numRuns: 1000 },
    )
  })

  it('reads any bytes as a message, or refuses them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(outcomeOf(bytes)).toBe('string')
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['an unknown type', [8, 6], /type 6/],
    ['a type as text', [0x0a, 1, 2], /field 1 of its data has wire type 2/],
    ['data longer than the message', [18, 5, 1, 2], /cut short/],
    ['data of 2^63 bytes', [18, ...Array.from({ length: 9 }, () => 0x80), 1], /cut short/],
    ['a number over 64 bits', [32, ...Array.from({ length: 9 }, () => 0xff), 2], /over 64 bits/],
    ['a number without end', [32, ...Array.from({ length: 20 }, () => 0xff)], /over 64 bits/],
    ['a group', [0x7b, 0x7c], /wire type 3/],
  ])('refuses %s', (_what, bytes, why) => {
    expect(() => readUnixfsData(bytesOf(...bytes))).toThrow(why)
  })
})
