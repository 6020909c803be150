import { createCache } from '@x/cache'
import { encodeDagCbor } from '@x/cid'
import { expect, it } from 'vitest'

import { receiptsOf } from '../src/receipts-of.ts'
import { openArea } from './support.ts'

it('has no receipt by the CID of something else that is kept', async () => {
  const area = await openArea()
  const block = await encodeDagCbor({ provider: 'cpu', works: true })
  const key = await encodeDagCbor({ asked: 'cpu' })
  await createCache({ disk: area }).put(key, block)
  expect(await area.findValue(block.cid)).toMatchObject({ key: key.cid })
  expect(await receiptsOf(area).get(block.cid, {})).toBeUndefined()
})
