import path from 'node:path'

import { openFsStore } from '@x/backend-fs'
import { openOutbox } from '@x/node'
import { BackendError, createReplicator, createStoreTarget, type ReplicaTarget } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { temporaryDirectory } from './support.ts'

const MIB = 1024 * 1024

/** Numbers from 0 to below 1 that are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function someBytes(length: number, seed: number): Uint8Array {
  const words = Uint32Array.from({ length: Math.ceil(length / 4) }, (_, index) => Math.imul(index + seed, 0x9e3779b1))
  return new Uint8Array(words.buffer, 0, length)
}

it('1,000 copies of mixed sizes arrive at a target that fails 30 % of requests, each verified, in bounded memory', async () => {
  const directory = await temporaryDirectory()
  const local = await openFsStore({ directory: path.join(directory, 'local') })
  const elsewhere = await openFsStore({ directory: path.join(directory, 'elsewhere') })
  const outbox = await openOutbox({ path: path.join(directory, 'outbox.sqlite') })
  const inner = createStoreTarget(elsewhere, { name: 'elsewhere' })
  const random = seeded(11)
  let [requests, failures] = [0, 0]
  const failSometimes = (): void => {
    requests += 1
    if (random() >= 0.3) return
    failures += 1
    throw new BackendError('connection reset by peer', { retryable: true })
  }
  const target: ReplicaTarget = {
    ...inner,
    async put(...given) {
      failSometimes()
      const status = await inner.put(...given)
      // What it did before it failed stays done.
      failSometimes()
      return status
    },
  }
  const roots: string[] = []
  for (let index = 0; index < 1000; index++) {
    const length = index % 12 === 0 ? 8 * MIB + index : 1 + Math.floor(random() ** 3 * 300_000)
    const { cid } = await local.add(someBytes(length, index * 7919))
    await outbox.wish([{ operation: 'put', cid, target: 'elsewhere' }])
    roots.push(String(cid))
  }
  globalThis.gc?.()
  const before = process.memoryUsage()
  let peakBytes = 0
  const replicator = createReplicator({
    local,
    targets: [target],
    outbox,
    atOnce: 4,
    retryMs: 5,
    mostRetryMs: 50,
    onEvent() {
      const { arrayBuffers, heapUsed } = process.memoryUsage()
      peakBytes = Math.max(peakBytes, arrayBuffers + heapUsed - before.arrayBuffers - before.heapUsed)
    },
  })
  onTestFinished(async () => {
    await replicator.close()
    await outbox.close()
    await inner.close()
    await local.close()
  })
  await replicator.drained()
  expect(failures / requests).toBeGreaterThan(0.25)
  expect(await outbox.list()).toEqual([])
  const copies = await outbox.copies()
  expect(copies.every(({ state }) => state === 'verified')).toBe(true)
  expect(copies.map(({ cid }) => String(cid)).toSorted()).toEqual([...new Set(roots)].toSorted())
  for (const { cid } of copies) await elsewhere.verify(cid)
  // With what was not collected yet. All of them together are over 700 MiB.
  expect(peakBytes).toBeLessThan(300 * MIB)
})
