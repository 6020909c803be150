import { encodeDagCbor, type Block } from '@x/cid'
import { expect, it } from 'vitest'

import { encodeVoucher, isVoucher, voucherIn } from '../src/index.ts'

const block = (value: unknown): Promise<Block> => encodeDagCbor(value)

it('is behind what belongs to an entry, whatever that has in it', async () => {
  const forged = await encodeVoucher({ method: 'key', name: 'alice', fingerprint: 'sha256:00' })
  const own = await encodeVoucher({ method: 'key', name: 'bob' })
  const other = await block({ text: 'hello' })
  expect([forged, own, other].map(isVoucher)).toEqual([true, true, false])
  expect(voucherIn([other, forged, forged, forged], 'result')).toBeUndefined()
  expect(voucherIn([other, forged, forged, forged, own], 'result')).toMatchObject({ name: 'bob' })
  expect(voucherIn([other, other, other, other, other], 'result')).toBeUndefined()
  expect(voucherIn([forged], 'facts')).toBeUndefined()
  expect(voucherIn([forged, own], 'facts')).toMatchObject({ name: 'bob' })
  // A result of before, with less than it has now.
  expect(voucherIn([other, forged], 'result')).toBeUndefined()
})
