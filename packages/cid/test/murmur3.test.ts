import { murmur364 } from '@multiformats/murmur3'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { murmur3x64 } from '../src/murmur3.ts'

describe('murmur3x64', () => {
  it('gives the bits of an independent implementation, for bytes of any length', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 70 }), async (bytes) => {
        expect(murmur3x64(bytes)).toEqual((await murmur364.digest(bytes)).digest)
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['', '0000000000000000'],
    // The published x64 128 digests of these texts, first half.
    ['hello', 'cbd8a7b341bd9b02'],
    ['The quick brown fox jumps over the lazy dog', 'e34bbc7bbc071b6c'],
  ])('of %j is %s', (text, hex) => {
    expect(Buffer.from(murmur3x64(new TextEncoder().encode(text))).toString('hex')).toBe(hex)
  })
})
