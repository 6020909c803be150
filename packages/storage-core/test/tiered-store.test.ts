import { cidOf, RAW, type CID } from '@x/cid'
import {
  BackendError,
  createContentSource,
  createTieredStore,
  openMemoryStore,
  type ContentSource,
  type ContentStore,
  type Receipt,
  type TieredStore,
  type TieredStoreOptions,
  type TierEvent,
} from '@x/storage-core'
import { contentStoreConformance } from '@x/storage-core/conformance'
import { describe, expect, it, onTestFinished } from 'vitest'

import { collect, concat, directoryOf, sameBytes, sampleBytes } from '../src/conformance/sample.ts'
import { memoryContentStore } from './memory-setup.ts'

const LEAF = 1_048_576

interface Watched {
  source: ContentSource
  store: ContentStore
  /** CIDs that it was asked for. */
  asked: string[]
  /** From now on it behaves like this; `undefined`: well. */
  behave(how: ((cid: CID) => Promise<Uint8Array> | undefined) | undefined): void
}

/** A backend over a store in memory that is watched, and fails as it is told. */
async function openBackend(name: string): Promise<Watched> {
  const store = await openMemoryStore({ name })
  const asked: string[] = []
  let behaviour: ((cid: CID) => Promise<Uint8Array> | undefined) | undefined
  const source = createContentSource({
    blocks: {
      name,
      has: (cid, options) => store.blocks.has(cid, options),
      get: (cid, options) => {
        asked.push(String(cid))
        return behaviour?.(cid) ?? store.blocks.get(cid, options)
      },
      close: () => store.close(),
    },
    probe: async () => ({ ...(await store.status()), name }),
  })
  return { source, store, asked, behave: (how) => (behaviour = how) }
}

async function openTiered(
  backends: readonly Watched[],
  options: Omit<TieredStoreOptions, 'tiers'> & { required?: string; local?: ContentStore } = {},
): Promise<{ tiered: TieredStore; local: ContentStore; events: TierEvent[] }> {
  const { required, local = await openMemoryStore({ name: 'here' }), ...rest } = options
  const events: TierEvent[] = []
  const tiers = backends.map(({ source }) => ({
    role: 'near' as const,
    source,
    isRequired: source.name === required,
  }))
  const tiered = createTieredStore(local, { ...rest, tiers, onEvent: (event) => events.push(event) })
  onTestFinished(() => tiered.close())
  return { tiered, local, events }
}

async function readWhole(
  tiered: TieredStore,
  cid: CID,
  options: Parameters<TieredStore['cat']>[1] = {},
): Promise<{ bytes: Uint8Array; receipt: Receipt | undefined }> {
  let receipt: Receipt | undefined
  const bytes = await concat(tiered.cat(cid, { ...options, onReceipt: (given) => (receipt = given) }))
  return { bytes, receipt }
}

const refused = (): Promise<never> =>
  Promise.reject(new BackendError('connect ECONNREFUSED', { retryable: true, cause: undefined }))

const receiptsOf = (events: readonly TierEvent[]): Receipt[] =>
  events.flatMap((event) => (event.type === 'receipt' ? event.receipt : []))

const ofType = <T extends TierEvent['type']>(
  events: readonly TierEvent[],
  type: T,
): Extract<TierEvent, { type: T }>[] =>
  events.filter((event): event is Extract<TierEvent, { type: T }> => event.type === type)

contentStoreConformance('a tiered store whose tier has nothing', {
  async open() {
    const local = await memoryContentStore.open()
    const tiered = createTieredStore(local, {
      tiers: [{ role: 'near', source: (await openBackend('nothing')).source }],
    })
    locals.set(tiered, local)
    onTestFinished(() => tiered.close())
    return tiered
  },
  async openBroken() {
    if (!memoryContentStore.openBroken) throw new Error('there is no openBroken')
    return createTieredStore(await memoryContentStore.openBroken(), { tiers: [] })
  },
  async corrupt(store, cid) {
    const local = locals.get(store)
    if (local) await memoryContentStore.corrupt?.(local, cid)
  },
})
const locals = new WeakMap<ContentStore, ContentStore>()

describe('what is held here', () => {
  it('is read without asking anybody', async () => {
    const near = await openBackend('near')
    const { tiered, events } = await openTiered([near])
    const bytes = sampleBytes(1, 3 * LEAF)
    const { cid } = await tiered.add(directoryOf({ 'model.onnx': bytes }))
    const { receipt, bytes: read } = await readWhole(tiered, cid, { path: 'model.onnx' })
    expect(sameBytes(read, bytes)).toBe(true)
    expect(receipt).toMatchObject({
      answeredBy: 'here',
      attempts: [{ backend: 'here', outcome: 'answered' }],
      gave: [{ backend: 'here', bytes: bytes.length }],
    })
    await tiered.stat(cid, { path: 'model.onnx' })
    await expect(tiered.stat(cid, { path: 'no.onnx' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(near.asked).toEqual([])
    expect(receiptsOf(events)).toEqual([receipt])
  })

  it('is read from the tiers where it is damaged, and no more than that', async () => {
    const near = await openBackend('near')
    const local = await memoryContentStore.open()
    const bytes = sampleBytes(2, 4 * LEAF)
    const { cid } = await near.store.add(bytes)
    const { tiered, events } = await openTiered([near], { local })
    await local.add(bytes)
    const leaf = await cidOf(RAW, bytes.subarray(LEAF, 2 * LEAF))
    await memoryContentStore.corrupt?.(local, leaf)
    const { bytes: read, receipt } = await readWhole(tiered, cid)
    expect(sameBytes(read, bytes)).toBe(true)
    expect(near.asked).toEqual([String(leaf)])
    expect(receipt?.attempts).toHaveLength(2)
    expect(receipt?.attempts).toContainEqual(expect.objectContaining({ backend: 'near', outcome: 'answered' }))
    const failed = { backend: 'memory', outcome: 'failed', code: 'INTEGRITY' }
    expect(receipt?.attempts).toContainEqual(expect.objectContaining(failed))
    expect(ofType(events, 'backend-failed')).toEqual([
      expect.objectContaining({ backend: 'memory', code: 'INTEGRITY', operation: 'cat' }),
    ])
  })
})

describe('what is not held here', () => {
  it('comes from the tiers in their order, and is held then', async () => {
    const [near, far] = [await openBackend('near'), await openBackend('far')]
    const bytes = sampleBytes(3, 3 * LEAF + 7)
    const { cid } = await far.store.add(directoryOf({ sub: { 'model.onnx': bytes } }))
    const { tiered, local, events } = await openTiered([near, far])
    const { bytes: read, receipt } = await readWhole(tiered, cid, { path: 'sub/model.onnx' })
    expect(sameBytes(read, bytes)).toBe(true)
    expect(receipt).toMatchObject({ answeredBy: 'far', bytes: bytes.length })
    expect(receipt?.attempts.map(({ backend, outcome }) => [backend, outcome])).toEqual([
      ['here', 'not-found'],
      ['near', 'not-found'],
      ['far', 'answered'],
    ])
    expect(await local.has(cid)).toBe(true)
    expect(ofType(events, 'blocks-kept')).toEqual([expect.objectContaining({ root: cid })])
    const before = far.asked.length
    expect(new Set(far.asked).size).toBe(before)
    expect((await readWhole(tiered, cid, { path: 'sub/model.onnx' })).receipt?.answeredBy).toBe('here')
    expect(far.asked.length).toBe(before)
  })

  it('is not held where that is not wanted', async () => {
    const near = await openBackend('near')
    const { cid } = await near.store.add(sampleBytes(4, 100))
    const { tiered, local } = await openTiered([near], { populate: 'leave' })
    await readWhole(tiered, cid)
    expect(await local.has(cid)).toBe(false)
  })

  it('is read all the same where it cannot be held', async () => {
    const near = await openBackend('near')
    const bytes = sampleBytes(5, 20 * LEAF)
    const { cid } = await near.store.add(bytes)
    const full = await openMemoryStore({ name: 'here' })
    const error = new BackendError('disk full', { retryable: false })
    full.blocks.putMany = () => Promise.reject(error)
    const { tiered, events } = await openTiered([near], { local: full })
    expect(sameBytes((await readWhole(tiered, cid)).bytes, bytes)).toBe(true)
    expect(ofType(events, 'keeping-failed')).toEqual([{ type: 'keeping-failed', root: cid, error }])
  })

  it('is listed and described', async () => {
    const near = await openBackend('near')
    const { cid } = await near.store.add(directoryOf({ a: sampleBytes(6, 10), b: { c: sampleBytes(7, LEAF * 2) } }))
    const { tiered, events } = await openTiered([near])
    expect((await collect(tiered.ls(cid))).map(({ name, size }) => [name, size])).toEqual([
      ['a', 10],
      ['b', LEAF * 2],
    ])
    expect(await tiered.stat(cid, { path: 'b/c' })).toMatchObject({ type: 'file', size: LEAF * 2 })
    expect(receiptsOf(events)[0]).toMatchObject({ operation: 'ls', answeredBy: 'near' })
  })

  it('is fetched whole to be pinned, and by fetch', async () => {
    const near = await openBackend('near')
    const [one, two] = [await near.store.add(sampleBytes(8, 2 * LEAF)), await near.store.add(sampleBytes(9, 100))]
    const { tiered, local } = await openTiered([near])
    await tiered.pin(one.cid)
    await tiered.fetch(two.cid, { name: 'two' })
    await local.gc()
    expect([await local.has(one.cid), await local.has(two.cid)]).toEqual([true, true])
    expect(await local.names.get('two')).toMatchObject({ cid: two.cid })
  })

  it('is absent where nobody has it, and cannot be told where one cannot be asked', async () => {
    const [near, far] = [await openBackend('near'), await openBackend('far')]
    const { tiered } = await openTiered([near, far])
    const cid = await cidOf(RAW, sampleBytes(10, 5))
    await expect(readWhole(tiered, cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    near.behave(refused)
    await expect(readWhole(tiered, cid)).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
    await expect(tiered.pin(cid)).rejects.toMatchObject({ code: 'BACKEND' })
  })
})

describe('a backend that fails', () => {
  it('in the middle of a file leaves the rest to the next one, and nothing comes twice', async () => {
    const [near, far] = [await openBackend('near'), await openBackend('far')]
    const bytes = sampleBytes(11, 24 * LEAF)
    const { cid } = await near.store.add(bytes)
    await far.store.add(bytes)
    const { tiered } = await openTiered([near, far])
    let left = 12
    const given: string[] = []
    near.behave((of) => {
      left -= 1
      if (left < 0) return refused()
      given.push(String(of))
      return undefined
    })
    const { bytes: read, receipt } = await readWhole(tiered, cid)
    expect(sameBytes(read, bytes)).toBe(true)
    expect(receipt?.answeredBy).toBe('far')
    expect(receipt?.attempts).toContainEqual(
      expect.objectContaining({ backend: 'near', outcome: 'failed', code: 'BACKEND', reason: 'connect ECONNREFUSED' }),
    )
    const twice = given.filter((asked) => far.asked.includes(asked) && asked !== String(cid))
    expect(twice).toEqual([])
    const shares = Object.fromEntries((receipt?.gave ?? []).map(({ backend, blocks }) => [backend, blocks]))
    expect((shares['near'] ?? 0) + (shares['far'] ?? 0)).toBe(25)
  })

  it('by lying is named, not believed, and not asked again', async () => {
    const [near, far] = [await openBackend('near'), await openBackend('far')]
    const bytes = sampleBytes(12, 6 * LEAF)
    const { cid } = await near.store.add(bytes)
    await far.store.add(bytes)
    const { tiered, events } = await openTiered([near, far])
    near.behave((of) => (of.code === RAW ? Promise.resolve(sampleBytes(99, LEAF)) : undefined))
    const { bytes: read, receipt } = await readWhole(tiered, cid)
    expect(sameBytes(read, bytes)).toBe(true)
    expect(receipt?.attempts).toContainEqual(
      expect.objectContaining({ backend: 'near', outcome: 'failed', code: 'INTEGRITY' }),
    )
    expect(ofType(events, 'circuit-changed')[0]).toMatchObject({ backend: 'near', circuit: { state: 'open' } })
    const before = near.asked.length
    const { cid: other } = await far.store.add(sampleBytes(13, 10))
    await near.store.add(sampleBytes(13, 10))
    expect((await readWhole(tiered, other)).receipt?.attempts).toContainEqual(
      expect.objectContaining({ backend: 'near', outcome: 'skipped' }),
    )
    expect(near.asked.length).toBe(before)
  })

  it('again and again is left alone for a while, and status says until when', async () => {
    const near = await openBackend('near')
    near.behave(refused)
    let now = 0
    const { tiered } = await openTiered([near], { breaker: { failures: 3, openMs: 1000, now: () => now } })
    const { cid } = await near.store.add(sampleBytes(14, 10))
    for (let time = 0; time < 5; time++) await expect(readWhole(tiered, cid)).rejects.toMatchObject({ code: 'BACKEND' })
    expect(near.asked).toHaveLength(3)
    const [, status] = tiered.tiers()
    expect(status).toMatchObject({ name: 'near', circuit: { state: 'open', reason: 'connect ECONNREFUSED' } })
    expect(status?.circuit?.retryAt).toMatch(/^\d{4}-.*Z$/)
    now += 1000
    expect(tiered.tiers()[1]?.circuit?.state).toBe('half-open')
    near.behave(undefined)
    expect((await readWhole(tiered, cid)).bytes).toHaveLength(10)
    expect(tiered.tiers()[1]?.circuit).toEqual({ state: 'closed', failures: 0 })
  })

  it('is an error where it is required, though another one could answer', async () => {
    const [near, far] = [await openBackend('near'), await openBackend('far')]
    const { cid } = await far.store.add(sampleBytes(15, 10))
    const { tiered } = await openTiered([near, far], { required: 'near' })
    // To be absent is no failure.
    expect((await readWhole(tiered, cid)).bytes).toHaveLength(10)
    near.behave(refused)
    const { cid: other } = await far.store.add(sampleBytes(16, 10))
    await expect(readWhole(tiered, other)).rejects.toMatchObject({ code: 'GATED', feature: 'near' })
  })

  it('by being slow has the next one asked beside it, and who answers first is taken', async () => {
    const [near, far] = [await openBackend('near'), await openBackend('far')]
    const { cid } = await far.store.add(sampleBytes(17, 10))
    const { tiered, events } = await openTiered([near, far], { read: 'hedged', latency: { initialMs: 1, leastMs: 1 } })
    near.behave(() => new Promise(() => {}))
    const { receipt } = await readWhole(tiered, cid)
    expect(receipt?.answeredBy).toBe('far')
    expect(ofType(events, 'backend-slow')).toContainEqual(expect.objectContaining({ backend: 'near' }))
  })
})

it('stops with the reason of its caller, whoever is being asked', async () => {
  const near = await openBackend('near')
  const { cid } = await near.store.add(sampleBytes(18, 10))
  for (const read of ['in-order', 'hedged'] as const) {
    const { tiered } = await openTiered([near, await openBackend('far')], {
      read,
      latency: { initialMs: 1, leastMs: 1 },
    })
    const controller = new AbortController()
    const reason = new Error('enough')
    near.behave(() => {
      controller.abort(reason)
      return new Promise(() => {})
    })
    await expect(readWhole(tiered, cid, { signal: controller.signal })).rejects.toBe(reason)
    near.behave(undefined)
  }
})

it('does not take two backends of one name', async () => {
  const [one, two] = [await openBackend('near'), await openBackend('near')]
  await expect(openTiered([one, two])).rejects.toThrow('each backend needs a name of its own: here, near, near')
})
