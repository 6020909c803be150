import { describe, expect, it, onTestFinished } from 'vitest'

import { startFaultyProxy, type FaultyProxy } from '../../../tooling/faults/faulty-proxy.ts'
import { ask, call } from './kubo-pool.ts'
import { collect, openNode, openStore, sampleBytes } from './support.ts'

// What takes long, and what is stopped.

const MIB = 1024 * 1024

describe('an abort', () => {
  it('ends the import in the daemon: nothing of it arrives any more, and its lock is free', async (context) => {
    const node = await openNode(context)
    const store = await openStore(node)
    const caller = new AbortController()
    const reason = new Error('the caller gave up')
    let taken = 0
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) {
        taken += 1
        if (taken === 20) caller.abort(reason)
        yield sampleBytes(taken, MIB)
      }
    }
    await expect(store.add(endless(), { signal: caller.signal })).rejects.toBe(reason)
    // A collection waits for every import that runs.
    await store.gc()
    const active = await ask<Running[]>(node, 'diag/cmds')
    expect(active.filter(({ Active: isActive, Command: command }) => isActive && command === 'dag/import')).toEqual([])
    expect(taken).toBeLessThan(40)
    expect(await collect(store.roots())).toEqual([])
  })

  it('of a read ends its requests', async (context) => {
    const node = await openNode(context)
    const proxy = await startFaultyProxy({ target: node.api })
    onTestFinished(() => proxy.close())
    const store = await openStore({ api: proxy.url })
    const { cid } = await store.add(sampleBytes(1, 4 * MIB))
    proxy.fault = { type: 'hang' }
    const caller = new AbortController()
    const reason = new Error('the caller gave up')
    const reading = collect(store.cat(cid, { signal: caller.signal }))
    setImmediate(() => caller.abort(reason))
    await expect(reading).rejects.toBe(reason)
  })

  it('before anything was sent sends nothing', async (context) => {
    const node = await openNode(context)
    const proxy = await startFaultyProxy({ target: node.api })
    onTestFinished(() => proxy.close())
    const store = await openStore({ api: proxy.url })
    const before = proxy.requests.length
    const reason = new Error('the caller gave up')
    await expect(store.add(sampleBytes(1, 10), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(proxy.requests).toHaveLength(before)
  })
})

describe('a daemon that works for longer than the stall time', () => {
  const STALL_MS = 150

  it('is waited for while a collection keeps an add out', async (context) => {
    const node = await openNode(context)
    const proxy = await startFaultyProxy({ target: node.api })
    onTestFinished(() => proxy.close())
    const store = await openStore({ api: proxy.url }, { stallTimeoutMs: STALL_MS })
    // Somebody's import holds the lock, a collection waits for it, and everything else for the collection.
    const source = Promise.withResolvers<void>()
    const isReading = Promise.withResolvers<void>()
    const slow = async function* (): AsyncGenerator<Uint8Array> {
      for (let seed = 1; seed <= 32; seed++) yield sampleBytes(seed, MIB)
      // More than the operating system takes in its buffers: the daemon reads, so it holds the lock.
      isReading.resolve()
      await source.promise
    }
    const other = await openStore(node)
    const holding = other.add(slow(), { name: 'slow' })
    await isReading.promise
    const collecting = call(node, 'repo/gc')
    await untilActive(node, 'repo/gc')
    const added = store.add(sampleBytes(99, 20 * MIB), { name: 'waiting' })
    let isDone = false
    void added.finally(() => (isDone = true))
    // It has been told four times that nothing moves, and has asked why.
    await untilAsked(proxy, 4)
    expect(isDone).toBe(false)
    source.resolve()
    await holding
    await collecting
    const { cid } = await added
    // By the one that does not give up on a busy machine.
    expect(await other.verify(cid)).toBeGreaterThan(20 * MIB)
    expect((await collect(store.names.list())).map(({ name }) => name)).toEqual(['slow', 'waiting'])
  })

  it('is given up when it does not know the call', async (context) => {
    const node = await openNode(context)
    const proxy = await startFaultyProxy({ target: node.api })
    onTestFinished(() => proxy.close())
    const store = await openStore({ api: proxy.url }, { stallTimeoutMs: STALL_MS })
    proxy.fault = ({ url }) => (url.startsWith('/api/v0/repo/gc?') ? { type: 'hang' } : { type: 'none' })
    await expect(store.gc()).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
  })
})

type Node = Parameters<typeof call>[0]
interface Running {
  Active: boolean
  Command: string
}

async function untilActive(node: Node, command: string): Promise<void> {
  for (;;) {
    const running = await ask<Running[]>(node, 'diag/cmds')
    if (running.some((entry) => entry.Active && entry.Command === command)) return
  }
}

/** Until a store has asked so many times what runs. */
async function untilAsked(proxy: FaultyProxy, times: number): Promise<void> {
  while (proxy.requests.filter(({ url }) => url.startsWith('/api/v0/diag/cmds')).length < times) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}
