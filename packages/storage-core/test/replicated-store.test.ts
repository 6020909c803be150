import {
  BackendError,
  createMemoryOutbox,
  createReplicatedStore,
  createReplicator,
  createStoreTarget,
  openMemoryStore,
  type ContentStore,
  type CopyPolicy,
  type Outbox,
  type Receipt,
  type ReplicaTarget,
  type ReplicatedStore,
  type Replicator,
} from '@x/storage-core'
import { contentStoreConformance } from '@x/storage-core/conformance'
import { expect, it, onTestFinished } from 'vitest'

import { sampleBytes } from '../src/conformance/sample.ts'
import { memoryContentStore } from './memory-setup.ts'

interface Switched extends ReplicaTarget {
  isDown: boolean
}

async function openTarget(name: string): Promise<Switched> {
  const store = await openMemoryStore({ name })
  onTestFinished(() => store.close())
  const inner = createStoreTarget(store)
  const assertUp = (): void => {
    if (target.isDown) throw new BackendError('connect ECONNREFUSED', { retryable: true })
  }
  const target: Switched = {
    ...inner,
    isDown: false,
    async put(...given) {
      assertUp()
      return inner.put(...given)
    },
    async remove(...given) {
      assertUp()
      return inner.remove(...given)
    },
  }
  return target
}

interface Scene {
  local: ContentStore
  store: ReplicatedStore
  outbox: Outbox
  replicator: Replicator
}

async function open(policies: readonly CopyPolicy[], given?: ContentStore): Promise<Scene> {
  const local = given ?? (await openMemoryStore({ name: 'here' }))
  const outbox = createMemoryOutbox()
  const targets = policies.map(({ target }) => target)
  // Not before it is told to: what a test has seen is not to change by itself.
  const replicator = createReplicator({ local, targets, outbox, retryMs: 3_600_000 })
  onTestFinished(async () => {
    await replicator.close()
    await local.close()
  })
  return { local, store: createReplicatedStore(local, { policies, replicator }), outbox, replicator }
}

async function add(store: ReplicatedStore, seed: number, options: Parameters<ReplicatedStore['add']>[1] = {}) {
  let receipt: Receipt | undefined
  const { cid } = await store.add(sampleBytes(seed, 5000), { ...options, onReceipt: (given) => void (receipt = given) })
  return {
    cid,
    outcomes: Object.fromEntries(receipt?.attempts.map(({ backend, outcome }) => [backend, outcome]) ?? []),
  }
}

const stateAt = async (target: ReplicaTarget, { cid }: { cid: Parameters<ReplicaTarget['stateOf']>[0] }) =>
  (await target.stateOf(cid)).state

const locals = new WeakMap<ContentStore, ContentStore>()

contentStoreConformance('a store with copies elsewhere', {
  async open() {
    const local = await memoryContentStore.open()
    const { store } = await open([{ target: await openTarget('a'), write: 'write-behind' }], local)
    locals.set(store, local)
    return store
  },
  async corrupt(store, cid) {
    const local = locals.get(store)
    if (local) await memoryContentStore.corrupt?.(local, cid)
  },
})

it('write-through has it elsewhere when the call ends, write-behind owes it, and the receipt says which', async () => {
  const [a, b, c, d] = [await openTarget('a'), await openTarget('b'), await openTarget('c'), await openTarget('d')]
  const { store, replicator } = await open([
    { target: a, write: 'write-through' },
    { target: b, write: 'write-behind' },
    { target: c, write: 'on-pin' },
    { target: d, write: 'never' },
  ])
  const pinned = await add(store, 1)
  expect(pinned.outcomes).toEqual({ a: 'answered', b: 'owed', c: 'owed', here: 'answered' })
  expect(await stateAt(a, pinned)).toBe('held')
  const loose = await add(store, 2, { pin: false })
  expect(loose.outcomes).toEqual({ a: 'answered', b: 'owed', here: 'answered' })
  await replicator.drained()
  expect(await Promise.all([a, b, c, d].map((target) => stateAt(target, pinned)))).toEqual([
    'held',
    'held',
    'held',
    'absent',
  ])
  expect(await stateAt(c, loose)).toBe('absent')
})

it('a target that is down is named, the write stands, and it is owed until the target is back', async () => {
  const a = await openTarget('a')
  a.isDown = true
  const { store, local, outbox, replicator } = await open([{ target: a, write: 'write-through' }])
  const added = await add(store, 3)
  expect(added.outcomes).toEqual({ a: 'failed', here: 'answered' })
  expect(await local.has(added.cid)).toBe(true)
  expect(await outbox.list()).toMatchObject([{ state: 'waiting', failures: 1, lastError: 'connect ECONNREFUSED' }])
  a.isDown = false
  await outbox.retry({}, Date.now())
  replicator.wake()
  await replicator.drained()
  expect(await stateAt(a, added)).toBe('held')
  expect(await outbox.list()).toEqual([])
})

it('what is owed and waits is tried at once when it is written through again', async () => {
  const a = await openTarget('a')
  a.isDown = true
  const { store } = await open([{ target: a, write: 'write-through' }])
  expect((await add(store, 4)).outcomes).toMatchObject({ a: 'failed' })
  a.isDown = false
  expect((await add(store, 4)).outcomes).toMatchObject({ a: 'answered' })
})

it('a required target that is down fails the call, which says that nothing is lost', async () => {
  const a = await openTarget('a')
  a.isDown = true
  const { store, local, outbox } = await open([
    { target: a, write: 'write-through', isRequired: true, feature: 'kubo' },
  ])
  const bytes = sampleBytes(5, 100)
  await expect(store.add(bytes)).rejects.toMatchObject({
    code: 'GATED',
    feature: 'kubo',
    message: expect.stringMatching(
      /a is required, and failed: connect ECONNREFUSED; baf\w+ is stored here, and owed to it/,
    ),
  })
  const [entry] = await outbox.list()
  expect(entry && (await local.has(entry.cid))).toBe(true)
})

it('on-pin follows the pin', async () => {
  const a = await openTarget('a')
  const { store, replicator } = await open([{ target: a, write: 'on-pin' }])
  const added = await add(store, 6, { pin: false })
  await replicator.drained()
  expect(await stateAt(a, added)).toBe('absent')
  await store.pin(added.cid)
  await replicator.drained()
  expect(await stateAt(a, added)).toBe('held')
  await store.unpin(added.cid)
  await replicator.drained()
  expect(await stateAt(a, added)).toBe('absent')
})

it('what is told to go goes everywhere, and who still has it is named', async () => {
  const [a, b] = [await openTarget('a'), await openTarget('b')]
  const { store, local, outbox, replicator } = await open([
    { target: a, write: 'write-through' },
    { target: b, write: 'write-through' },
  ])
  const added = await add(store, 7)
  b.isDown = true
  expect(await store.removeEverywhere(added.cid)).toEqual([
    { target: 'a', outcome: 'removed' },
    { target: 'b', outcome: 'owed', reason: 'connect ECONNREFUSED' },
  ])
  expect(await local.has(added.cid)).toBe(false)
  expect([await stateAt(a, added), await stateAt(b, added)]).toEqual(['absent', 'held'])
  b.isDown = false
  await outbox.retry({}, Date.now())
  replicator.wake()
  await replicator.drained()
  expect(await stateAt(b, added)).toBe('absent')
})

it('a target that is to have nothing by itself gets what it is told to', async () => {
  const a = await openTarget('a')
  const { store, replicator } = await open([{ target: a, write: 'never' }])
  const added = await add(store, 8)
  await store.copyTo(added.cid, ['a'], { name: 'org/model' })
  await replicator.drained()
  expect(await stateAt(a, added)).toBe('held')
})
