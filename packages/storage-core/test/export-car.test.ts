import { buildFile, RAW, type CID } from '@x/cid'
import { exportCar, openMemoryStore, type ContentStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { collect, sampleBytes } from '../src/conformance/sample.ts'

const LEAVES = 40
const bytes = sampleBytes(4, LEAVES * 262_144)

/** A store of which every read of a leaf is seen, and fails from one on. */
async function watched({ failsFrom = LEAVES } = {}) {
  const store = await openMemoryStore()
  const { cid: root } = await store.add(bytes, { profile: 'kubo-v1' })
  const asked: CID[] = []
  const watching: Pick<ContentStore, 'blocks'> = {
    blocks: {
      ...store.blocks,
      get: async (cid, options) => {
        if (cid.code === RAW && asked.push(cid) > failsFrom) throw new Error('EIO')
        return store.blocks.get(cid, options)
      },
    },
  }
  return { root, store: watching, asked }
}

it('reads each leaf once, in order, and few of them ahead', async () => {
  const { root, store, asked } = await watched()
  let most = 0
  let pieces = 0
  for await (const _ of exportCar(store, root)) {
    // Before the leaves come the header and the root.
    pieces++
    most = Math.max(most, asked.length - Math.max(0, pieces - 2))
  }
  expect(pieces).toBe(LEAVES + 2)
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThanOrEqual(5)
  const leaves: CID[] = []
  const onBlock = ({ cid }: { cid: CID }): void => void (cid.code === RAW && leaves.push(cid))
  await buildFile([bytes], { profile: 'kubo-v1', onBlock })
  expect(asked).toEqual(leaves)
})

it('a leaf that fails fails where it is asked for, and nobody minds it when it is not', async () => {
  const failing = await watched({ failsFrom: 3 })
  let pieces = 0
  const read = async (): Promise<void> => {
    for await (const _ of exportCar(failing.store, failing.root)) pieces++
  }
  await expect(read()).rejects.toThrow('EIO')
  expect(pieces).toBe(5)
  const left = await watched({ failsFrom: 1 })
  for await (const _ of exportCar(left.store, left.root)) if (left.asked.length > 3) break
  expect((await collect(exportCar((await watched()).store, left.root))).length).toBe(LEAVES + 2)
})
