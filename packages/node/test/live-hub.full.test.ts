/** A pull from a hub that is not ours. */
import path from 'node:path'

import { pullModel } from '@x/node'
import { expect, it } from 'vitest'

import { liveHubOrSkip } from '../../../tooling/live-hub.ts'
import { openTemporary, temporaryDirectory } from './support.ts'

it('a model is pulled from a live hub, twice alike, the second time without a byte of it', async (context) => {
  const HF_ENDPOINT = liveHubOrSkip(context)
  const { HF_TOKEN } = process.env
  const environment = {
    HF_ENDPOINT,
    HF_HOME: path.join(await temporaryDirectory(), 'hf'),
    ...(HF_TOKEN && { HF_TOKEN }),
  }
  const storage = await openTemporary()
  const reference = 'hf://Xenova/all-MiniLM-L6-v2'
  const first = await pullModel(storage, reference, { dtype: 'q8', environment })
  expect(first).toMatchObject({ kind: 'hub', receipt: { sources: [{ name: 'hub', outcome: 'answered' }] } })
  expect(await storage.verify(first.cid)).toBe(first.size)
  const again = await pullModel(storage, reference, { dtype: 'q8', environment })
  expect(again.cid.equals(first.cid)).toBe(true)
  expect(again.receipt?.bytes ?? 0).toBe(0)
})
