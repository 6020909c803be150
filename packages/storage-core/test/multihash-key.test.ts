import { CID, cidOf, DAG_PB, IDENTITY, RAW } from '@x/cid'
import { expect, it } from 'vitest'

import { multihashKey } from '../src/multihash-key.ts'

it('is the same for every codec of a block, and has a character for each byte', async () => {
  const cid = await cidOf(RAW, new Uint8Array(3))
  expect(multihashKey(CID.createV1(DAG_PB, cid.multihash))).toBe(multihashKey(cid))
  expect(Buffer.from(multihashKey(cid), 'latin1')).toEqual(Buffer.from(cid.multihash.bytes))
})

it('takes an inline block of any length', () => {
  const bytes = new Uint8Array(1_000_000).map((_, index) => index % 251)
  // The length, as a varint, before them.
  const inline = CID.decode(Buffer.concat([Uint8Array.of(1, RAW, IDENTITY, 0xc0, 0x84, 0x3d), bytes]))
  expect(Buffer.from(multihashKey(inline), 'latin1').equals(inline.multihash.bytes)).toBe(true)
})
