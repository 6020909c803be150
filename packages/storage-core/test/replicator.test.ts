import type { CID } from '@x/cid'
import {
  BackendError,
  createMemoryOutbox,
  createReplicator,
  createStoreTarget,
  NoSpaceError,
  openMemoryStore,
  type ContentStore,
  type Outbox,
  type ReplicaTarget,
  type Replicator,
  type ReplicatorEvent,
  type ReplicatorOptions,
} from '@x/storage-core'
import { describe, expect, it, onTestFinished } from 'vitest'

import { collect, sampleBytes } from '../src/conformance/sample.ts'
import { memoryContentStore } from './memory-setup.ts'

interface Scene {
  local: ContentStore
  outbox: Outbox
  replicator: Replicator
  events: ReplicatorEvent[]
}

async function openStore(name: string): Promise<ContentStore> {
  const store = await openMemoryStore({ name })
  onTestFinished(() => store.close())
  return store
}

async function open(targets: readonly ReplicaTarget[], options: Partial<ReplicatorOptions> = {}): Promise<Scene> {
  const local = options.local ?? (await openStore('here'))
  const outbox = options.outbox ?? createMemoryOutbox()
  const events: ReplicatorEvent[] = []
  const replicator = createReplicator({
    retryMs: 1,
    pendingMs: 1,
    ...options,
    local,
    targets,
    outbox,
    onEvent: (event) => void events.push(event),
  })
  onTestFinished(() => replicator.close())
  return { local, outbox, replicator, events }
}

const openTarget = async (name: string): Promise<ReplicaTarget> => createStoreTarget(await openStore(name))

const kept = async (target: ReplicaTarget): Promise<string[]> =>
  (await collect(target.list())).map(({ cid }) => String(cid)).toSorted()

const typesOf = (events: readonly ReplicatorEvent[]): string[] => events.map(({ type }) => type)

/** Numbers from 0 to below 1 that are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

describe('what is wished', () => {
  it('is brought to each target, read back, and owed no more', async () => {
    const [a, b] = [await openTarget('a'), await openTarget('b')]
    const { local, outbox, replicator, events } = await open([a, b])
    const { cid } = await local.add(sampleBytes(1, 2_500_000))
    await replicator.wish([
      { operation: 'put', cid, target: 'a' },
      { operation: 'put', cid, target: 'b' },
    ])
    await replicator.drained()
    expect([await kept(a), await kept(b)]).toEqual([[String(cid)], [String(cid)]])
    expect(await outbox.list()).toEqual([])
    expect(await outbox.copies()).toMatchObject([{ state: 'verified' }, { state: 'verified' }])
    expect(typesOf(events).toSorted()).toEqual(['copy-made', 'copy-made', 'copy-verified', 'copy-verified'])
  })

  it('is begun by the next one where the process that was to do it has ended', async () => {
    const a = await openTarget('a')
    const outbox = createMemoryOutbox()
    const local = await openStore('here')
    const { cid } = await local.add(sampleBytes(2, 10))
    await outbox.wish([{ operation: 'put', cid, target: 'a' }])
    const { replicator } = await open([a], { outbox, local })
    await replicator.drained()
    expect(await kept(a)).toEqual([String(cid)])
  })

  it('ends as it was wished last, whatever was wished before', async () => {
    const random = seeded(7)
    const a = await openTarget('a')
    const { local, replicator } = await open([a])
    const roots: CID[] = []
    for (let index = 0; index < 6; index++) roots.push((await local.add(sampleBytes(index, 1000))).cid)
    const last = new Map<string, 'put' | 'remove'>()
    for (let step = 0; step < 120; step++) {
      const cid = roots[Math.floor(random() * roots.length)]
      const operation = random() < 0.5 ? 'put' : 'remove'
      if (!cid) throw new Error('no root')
      last.set(String(cid), operation)
      await replicator.wish([{ operation, cid, target: 'a' }])
      if (random() < 0.3) await replicator.drained()
    }
    await replicator.drained()
    expect(await kept(a)).toEqual(
      [...last]
        .filter(([, operation]) => operation === 'put')
        .map(([cid]) => cid)
        .toSorted(),
    )
  })
})

describe('a target that fails', () => {
  it('for a while is tried again, and everything arrives', async () => {
    const a = await openTarget('a')
    const random = seeded(3)
    const flaky: ReplicaTarget = {
      ...a,
      async put(...given) {
        if (random() < 0.3) throw new BackendError('connection reset', { retryable: true })
        return a.put(...given)
      },
    }
    const { local, outbox, replicator, events } = await open([flaky], { atOnce: 8 })
    const roots: string[] = []
    for (let index = 0; index < 60; index++) {
      const { cid } = await local.add(sampleBytes(index, 1 + index * 700))
      roots.push(String(cid))
      await replicator.wish([{ operation: 'put', cid, target: 'a' }])
    }
    await replicator.drained()
    expect(await kept(a)).toEqual(roots.toSorted())
    expect(await outbox.copies()).toHaveLength(60)
    expect(typesOf(events)).toContain('try-failed')
  })

  it('for good gives up, says why, and goes on when it is told to', async () => {
    const a = await openTarget('a')
    let isFull = true
    const full: ReplicaTarget = {
      ...a,
      put: (...given) => (isFull ? Promise.reject(new NoSpaceError('the bucket is full')) : a.put(...given)),
    }
    const { local, outbox, replicator, events } = await open([full])
    const { cid } = await local.add(sampleBytes(4, 10))
    await replicator.wish([{ operation: 'put', cid, target: 'a' }])
    await replicator.drained()
    expect(await outbox.list()).toMatchObject([{ state: 'given-up', lastError: 'the bucket is full', failures: 1 }])
    expect(typesOf(events)).toEqual(['given-up'])
    isFull = false
    await outbox.retry({ target: 'a' }, Date.now())
    replicator.wake()
    await replicator.drained()
    expect(await kept(a)).toEqual([String(cid)])
  })

  it('by saying that it has what it has not is not believed', async () => {
    const store = await memoryContentStore.open()
    const a = createStoreTarget(store, { name: 'a' })
    const bytes = sampleBytes(5, 3_000_000)
    let lies = 2
    const liar: ReplicaTarget = {
      ...a,
      async put(root, ...given) {
        if (lies-- > 0) return { state: 'held' }
        return a.put(root, ...given)
      },
    }
    const { local, outbox, replicator, events } = await open([liar])
    const { cid } = await local.add(bytes)
    await replicator.wish([{ operation: 'put', cid, target: 'a' }])
    await replicator.drained()
    expect(typesOf(events).filter((type) => type === 'try-failed')).toHaveLength(2)
    expect(await outbox.copies()).toMatchObject([{ state: 'verified' }])
  })

  it('by damaging what it keeps is found out', async () => {
    const store = await memoryContentStore.open()
    const a = createStoreTarget(store, { name: 'a' })
    const damaging: ReplicaTarget = {
      ...a,
      async put(root, ...given) {
        const status = await a.put(root, ...given)
        await memoryContentStore.corrupt?.(store, root)
        return status
      },
    }
    const { local, outbox, replicator } = await open([damaging])
    const { cid } = await local.add(sampleBytes(6, 100))
    await replicator.wish([{ operation: 'put', cid, target: 'a' }])
    await replicator.drained()
    expect(await outbox.list()).toMatchObject([{ state: 'given-up' }])
    expect(await outbox.copies()).toEqual([])
  })
})

describe('a target that fetches by itself', () => {
  it('is asked until it has it, and that is no failure', async () => {
    const a = await openTarget('a')
    let asked = 0
    const slow: ReplicaTarget = {
      ...a,
      async put(...given) {
        asked += 1
        return asked < 4 ? { state: 'pending', reason: 'queued' } : a.put(...given)
      },
    }
    const { local, outbox, replicator, events } = await open([slow])
    const { cid } = await local.add(sampleBytes(8, 10))
    await replicator.wish([{ operation: 'put', cid, target: 'a' }])
    await replicator.drained()
    expect(typesOf(events).filter((type) => type === 'copy-pending')).toHaveLength(3)
    expect(typesOf(events)).not.toContain('try-failed')
    expect(await outbox.copies()).toMatchObject([{ state: 'verified' }])
  })

  it('and cannot be read back has a copy that is claimed, and never one that is verified', async () => {
    const { source: _source, ...unread } = await openTarget('a')
    const { local, outbox, replicator, events } = await open([unread])
    const { cid } = await local.add(sampleBytes(9, 10))
    await replicator.wish([{ operation: 'put', cid, target: 'a' }])
    await replicator.drained()
    expect(await outbox.copies()).toMatchObject([{ state: 'claimed' }])
    expect(typesOf(events)).toEqual(['copy-made', 'copy-unproved'])
  })
})

it('what is tried again at one target does not wait for a long copy at another one', async () => {
  const [a, b] = [await openTarget('a'), await openTarget('b')]
  const end = Promise.withResolvers<void>()
  const long: ReplicaTarget = {
    ...a,
    async put(...given) {
      await end.promise
      return a.put(...given)
    },
  }
  let refusals = 2
  const flaky: ReplicaTarget = {
    ...b,
    async put(...given) {
      if (refusals-- > 0) throw new BackendError('refused', { retryable: true })
      const status = await b.put(...given)
      end.resolve()
      return status
    },
  }
  const { local, replicator } = await open([long, flaky])
  const { cid } = await local.add(sampleBytes(12, 10))
  await replicator.wish(['a', 'b'].map((target) => ({ operation: 'put' as const, cid, target })))
  await replicator.drained()
  expect([await kept(a), await kept(b)]).toEqual([[String(cid)], [String(cid)]])
})

it('what is closed midway is owed still, and nothing is left running', async () => {
  const a = await openTarget('a')
  const begun = Promise.withResolvers<void>()
  const hanging: ReplicaTarget = {
    ...a,
    put: (_root, _source, options) =>
      new Promise((_resolve, reject) => {
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason))
        begun.resolve()
      }),
  }
  const { local, outbox, replicator } = await open([hanging])
  const { cid } = await local.add(sampleBytes(10, 10))
  await replicator.wish([{ operation: 'put', cid, target: 'a' }])
  const drained = replicator.drained().catch((error: unknown) => error)
  await begun.promise
  await replicator.close()
  expect(await drained).toMatchObject({ code: 'BACKEND' })
  expect(await outbox.list()).toMatchObject([{ state: 'waiting', failures: 0, isClaimed: false }])
})

it('waits for no longer than its caller', async () => {
  const a = await openTarget('a')
  const down: ReplicaTarget = { ...a, put: () => Promise.reject(new BackendError('refused', { retryable: true })) }
  const { local, replicator } = await open([down], { retryMs: 60_000 })
  const { cid } = await local.add(sampleBytes(11, 10))
  await replicator.wish([{ operation: 'put', cid, target: 'a' }])
  const reason = new Error('enough')
  await expect(replicator.drained({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
})

it('two of them share an outbox, and each copy is made once', async () => {
  const store = await openStore('a')
  const made: string[] = []
  const a = createStoreTarget(store)
  const counting: ReplicaTarget = {
    ...a,
    async put(root, ...given) {
      made.push(String(root))
      return a.put(root, ...given)
    },
  }
  const outbox = createMemoryOutbox()
  const local = await openStore('here')
  const [one, two] = [await open([counting], { outbox, local }), await open([counting], { outbox, local })]
  const roots: string[] = []
  for (let index = 0; index < 30; index++) {
    const { cid } = await local.add(sampleBytes(index, 5000))
    roots.push(String(cid))
    await (index % 2 === 0 ? one : two).replicator.wish([{ operation: 'put', cid, target: 'a' }])
  }
  await Promise.all([one.replicator.drained(), two.replicator.drained()])
  expect(made.toSorted()).toEqual(roots.toSorted())
})
