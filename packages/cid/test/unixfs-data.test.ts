import { buildFile } from '@x/cid'
import * as fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { describe, expect, it } from 'vitest'

import { encodeUnixfsData } from '../src/unixfs-data.ts'

/** A varint by the definition, with numbers that have no width. */
function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = BigInt(value)
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return [...bytes, Number(rest)]
}

// Every power of two and its neighbours: where encoders of 32-bit languages break.
const boundaries = Array.from({ length: 53 }, (_, bits) => [2 ** bits - 1, 2 ** bits, 2 ** bits + 1]).flat()
const sizes = fc.oneof(fc.constantFrom(...boundaries.filter(Number.isSafeInteger)), fc.maxSafeNat())

describe('encodeUnixfsData', () => {
  it('writes sizes of any width, and the same bytes each time', () => {
    fc.assert(
      fc.property(sizes, fc.array(sizes, { maxLength: 5 }), (fileSize, blockSizes) => {
        const expected = [8, 2, 24, ...varint(fileSize), ...blockSizes.flatMap((size) => [32, ...varint(size)])]
        expect([...encodeUnixfsData({ type: 'file', fileSize, blockSizes })]).toEqual(expected)
      }),
      { numRuns: 500 },
    )
  })

  it('is read back by ipfs-unixfs', () => {
    for (const size of boundaries.filter(Number.isSafeInteger)) {
      const { blockSizes, type } = UnixFS.unmarshal(
        encodeUnixfsData({ type: 'file', fileSize: size, blockSizes: [size, 1] }),
      )
      expect(type).toBe('file')
      expect(blockSizes).toEqual([BigInt(size), 1n])
    }
  })
})

const MIB = 1024 * 1024

function* zeros(byteLength: number): Generator<Uint8Array> {
  const piece = new Uint8Array(MIB)
  for (let rest = byteLength; rest > 0; rest -= MIB) yield piece.subarray(0, Math.min(rest, MIB))
}

describe('a file whose size needs 32 bits', () => {
  // Computed with hashlib and protobuf written by hand, in Python. No JavaScript importer can be the oracle here.
  it.each([
    [2048 * MIB, 'bafybeieyiwtflptdh35ga5rvsber2dzcbc7cikzfdwjmndjifuq42d6yhe'],
    [3072 * MIB + 5, 'bafybeieeruhrxenn6xx7vrl22bcjbpqcv5sqululozwuz6f5piy6snrzuu'],
  ])('of %d zero bytes has the CID that an independent computation gives', async (size, cid) => {
    expect((await buildFile(zeros(size))).cid.toString()).toBe(cid)
  })
})
