import { expect, it } from 'vitest'

import { mountSmallDisk } from '../../../tooling/faults/small-disk.ts'
import { collect, concat, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { openNode, openStore, texts } from './support.ts'

const MIB = 1024 * 1024

it('a daemon whose disk is full says so, keeps what it has, and goes on once there is room', async (context) => {
  const disk = await mountSmallDisk({ sizeBytes: 64 * MIB })
  if ('reason' in disk) {
    context.skip(disk.reason)
    return
  }
  context.onTestFinished(() => disk.unmount())
  const node = await openNode(context, { parent: disk.directory })
  const store = await openStore(node)
  const kept = await store.add(sampleBytes(1, 10 * MIB), { name: 'kept' })
  const full = { code: 'NO_SPACE' }
  await expect(store.add(sampleBytes(2, 80 * MIB), { name: 'large' })).rejects.toMatchObject(full)
  expect(texts(await collect(store.roots()))).toEqual(texts([kept]))
  expect((await collect(store.names.list())).map(({ name }) => name)).toEqual(['kept'])
  expect(Buffer.compare(await concat(store.cat(kept.cid)), sampleBytes(1, 10 * MIB))).toBe(0)
  await store.gc()
  const { cid } = await store.add(sampleBytes(3, 5 * MIB))
  expect(await store.verify(cid)).toBeGreaterThan(5 * MIB)
})
