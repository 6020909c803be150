import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openFsStore } from '@x/backend-fs'
import { exportCar } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { createGatewayHandler } from '../src/gateway-handler.ts'
import { asker, bytesOf, carOf, utf8 } from './support.ts'

it('serves whole files with outboards as the blocks that they are', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'gateway-server-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const store = await openFsStore({ directory })
  onTestFinished(() => store.close())
  const { cid } = await store.add(directoryOf({ 'model.bin': sampleBytes(1, 5_000_000), 'a.json': utf8('{}') }))
  const ask = asker(createGatewayHandler(store))

  const exported: Uint8Array[] = []
  for await (const piece of exportCar(store, cid)) exported.push(piece)
  const whole = await bytesOf(await ask(`/ipfs/${cid}?format=car`))
  expect(Buffer.concat(exported).equals(whole)).toBe(true)

  const { cids } = await carOf(await ask(`/ipfs/${cid}/model.bin?format=car&entity-bytes=1048576:2097151`))
  // The directory, the file's node, and one leaf.
  expect(cids).toHaveLength(3)
  const leaf = await ask(`/ipfs/${cids[2]}?format=raw`)
  expect(Buffer.from(await bytesOf(leaf)).equals(sampleBytes(1, 5_000_000).subarray(1048576, 2097152))).toBe(true)
})
