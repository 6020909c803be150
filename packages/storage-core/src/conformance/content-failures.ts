import { beforeEach, describe, expect, it } from 'vitest'

import type { AbortOptions } from '../blockstore.ts'
import type { ContentStore } from '../content-store.ts'
import type { Names } from '../names.ts'
import type { ContentStoreSetup } from './content-store.ts'
import { needs } from './needs.ts'
import { collect, fourLeaves, randomBlock, type SampleBlock } from './sample.ts'

type Call = (store: ContentStore, block: SampleBlock, options: AbortOptions) => Promise<unknown>

// A new method on ContentStore or Names does not compile until it has its line here.
const storeCalls: Record<
  Exclude<keyof ContentStore, 'name' | 'blocks' | 'names' | 'getPath' | 'salvage' | 'getFile' | 'close'>,
  Call
> = {
  add: (store, { bytes }, options) => store.add(bytes, options),
  cat: (store, { cid }, options) => collect(store.cat(cid, options)),
  stat: (store, { cid }, options) => store.stat(cid, options),
  ls: (store, { cid }, options) => collect(store.ls(cid, options)),
  has: (store, { cid }, options) => store.has(cid, options),
  remove: (store, { cid }, options) => store.remove(cid, options),
  roots: (store, _block, options) => collect(store.roots(options)),
  pin: (store, { cid }, options) => store.pin(cid, options),
  unpin: (store, { cid }, options) => store.unpin(cid, options),
  pins: (store, _block, options) => collect(store.pins(options)),
  gc: (store, _block, options) => store.gc(options),
  verify: (store, { cid }, options) => store.verify(cid, options),
  status: (store, _block, options) => store.status(options),
}

const nameCalls: Record<keyof Names, Call> = {
  get: ({ names }, _block, options) => names.get('a/name', options),
  set: ({ names }, { cid }, options) => names.set('a/name', cid, options),
  delete: ({ names }, _block, options) => names.delete('a/name', options),
  list: ({ names }, _block, options) => collect(names.list(options)),
}

const optionalCalls: Record<'getPath' | 'getFile', Call> = {
  getPath: async (store, { cid }, options) => store.getPath?.(cid, options),
  getFile: async (store, { cid }, options) => store.getFile?.(cid, options),
}

const calls: [name: string, call: Call][] = [
  ...Object.entries(storeCalls),
  ...Object.entries(nameCalls).map(([name, call]): [string, Call] => [`names.${name}`, call]),
]
const askAbsent = ['cat', 'stat', 'ls', 'pin', 'verify']

export function describeFailures({ open, openBroken }: ContentStoreSetup): void {
  it.each(calls)('%s rejects with signal.reason', async (_name, call) => {
    const reason = new Error('the caller gave up')
    const [store, block] = [await open(), await randomBlock()]
    const { cid } = await store.add(block.bytes)
    await expect(call(store, { ...block, cid }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    // Nor did it do anything.
    expect(await collect(store.roots())).toMatchObject([{ cid, pinned: true, names: [] }])
  })

  it.each(calls.filter(([name]) => askAbsent.includes(name)))(
    '%s reports an absent root with its CID',
    async (_name, call) => {
      const [store, block] = [await open(), await randomBlock()]
      await expect(call(store, block, {})).rejects.toMatchObject({ code: 'NOT_FOUND', cid: block.cid })
    },
  )

  it('verify stops in the middle', async () => {
    const store = await open()
    const { cid } = await store.add(fourLeaves('kubo-v1'), { profile: 'kubo-v1' })
    const caller = new AbortController()
    const reason = new Error('the caller gave up')
    const verified = store.verify(cid, { signal: caller.signal, onProgress: () => caller.abort(reason) })
    await expect(verified).rejects.toBe(reason)
  })

  it.for(['getPath', 'getFile'] as const)('%s, where there is one, knows abort and absence', async (name, { skip }) => {
    const [store, block] = [await open(), await randomBlock()]
    if (!store[name]) skip(`the store has no ${name}`)
    const call = optionalCalls[name]
    const reason = new Error('the caller gave up')
    await expect(call(store, block, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await expect(call(store, block, {})).rejects.toMatchObject({ code: 'NOT_FOUND', cid: block.cid })
  })

  it('status says that a good store is available', async () => {
    const store = await open()
    const status = await store.status()
    expect(status).toMatchObject({ name: store.name, available: true })
    expect(status.reason).toBeUndefined()
    expect(status.probeMs).toBeGreaterThanOrEqual(0)
    expect(Date.parse(status.probedAt)).toBeGreaterThan(0)
  })

  const brokenCalls = calls.filter(([name]) => name !== 'status')
  describe('a broken medium', () => {
    beforeEach(needs(openBroken, 'openBroken'))

    it.each(brokenCalls)('%s says that a broken medium is broken', async (_name, call) => {
      const broken = await openBroken?.()
      if (!broken) throw new Error('there is no openBroken')
      await expect(call(broken, await randomBlock(), {})).rejects.toMatchObject({ code: 'BACKEND' })
    })

    it('status says that a broken medium is not available, and why', async () => {
      const broken = await openBroken?.()
      if (!broken) throw new Error('there is no openBroken')
      const status = await broken.status()
      expect(status).toMatchObject({ name: broken.name, available: false })
      expect(status.reason).toMatch(/\S/)
    })
  })

  it.each(calls)('%s rejects after close', async (_name, call) => {
    const [store, block] = [await open(), await randomBlock()]
    const { cid } = await store.add(block.bytes, { name: 'a/name' })
    await store.close()
    await store.close()
    await expect(call(store, { ...block, cid }, {})).rejects.toMatchObject({ code: 'BACKEND' })
  })
}
