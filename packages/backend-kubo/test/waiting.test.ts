import { cidOf, RAW } from '@x/cid'
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest'

import { startFaultyProxy, type FaultyProxy, type SeenRequest } from '../../../tooling/faults/faulty-proxy.ts'
import { passTime } from '../../../tooling/faults/pass-time.ts'
import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { collect, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import type { KuboStore } from '../src/index.ts'
import { ask, call, createKuboPool } from './kubo-pool.ts'
import { openStore } from './support.ts'

// What takes long, and what is stopped.

const MIB = 1024 * 1024
const pool = createKuboPool()

async function open(context: TestContext): Promise<KuboNode> {
  kuboOrSkip(context)
  return pool.take()
}

describe('an abort', () => {
  it('ends the import in the daemon: nothing of it arrives any more, and its lock is free', async (context) => {
    const node = await open(context)
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
    const node = await open(context)
    const proxy = await startFaultyProxy({ target: node.api })
    onTestFinished(() => proxy.close())
    const store = await openStore({ api: proxy.url })
    const { cid } = await store.add(sampleBytes(1, 4 * MIB))
    const caller = new AbortController()
    const reason = new Error('the caller gave up')
    let asked = 0
    proxy.fault = () => {
      asked += 1
      // One that it has begun to wait for, and some ahead of it.
      if (asked === 3) caller.abort(reason)
      return { type: asked === 1 ? 'none' : 'hang' }
    }
    await expect(collect(store.cat(cid, { signal: caller.signal }))).rejects.toBe(reason)
    const hung = proxy.requests.filter(({ hit }) => hit)
    expect(hung.length).toBeGreaterThan(1)
    await expect.poll(() => hung.map(({ brokenOff }) => brokenOff)).toEqual(hung.map(() => true))
  })

  it('does not wait for a daemon that hangs', async (context) => {
    const node = await open(context)
    const { cid } = await (await openStore(node)).add(sampleBytes(1, 1000), { pin: false })
    const bytes = sampleBytes(2, 1000)
    const block = { cid: await cidOf(RAW, bytes), bytes }
    const reason = new Error('the caller gave up')
    // What it leaves behind is taken back for a second each: all of them at once.
    const calls: ((store: KuboStore, signal: AbortSignal, onStored: () => Promise<void>) => Promise<unknown>)[] = [
      (store, signal) => store.add(bytes, { signal }),
      (store, signal) => store.pin(cid, { signal }),
      async (store, signal, onStored) => store.blocks.putMany?.([block], { onStored, signal }),
    ]
    const stopped = calls.map(async (start) => {
      const proxy = await startFaultyProxy({ target: node.api })
      onTestFinished(() => proxy.close())
      // Longer than the test may take.
      const store = await openStore({ api: proxy.url }, { stallTimeoutMs: 600_000 })
      const caller = new AbortController()
      // What came before was done; from then on it hangs.
      const hang = (): void => {
        proxy.fault = { type: 'hang' }
        caller.abort(reason)
      }
      proxy.fault = ({ url }) => {
        if (!url.startsWith('/api/v0/pin/add?')) return { type: 'none' }
        hang()
        return { type: 'hang' }
      }
      await start(store, caller.signal, async () => {
        hang()
        throw reason
      })
    })
    const results = await Promise.allSettled(stopped)
    expect(results.map((result) => result.status === 'rejected' && result.reason === reason)).toEqual([
      true,
      true,
      true,
    ])
  })

  it('and all else ends with the store: an import that runs is stopped', async (context) => {
    const node = await open(context)
    const proxy = await startFaultyProxy({ target: node.api })
    onTestFinished(() => proxy.close())
    const store = await openStore({ api: proxy.url })
    const { holding, release } = await holdLock(store)
    // All is sent that can be, and the store waits for the source.
    await expect.poll(() => proxy.bytesReceived).toBeGreaterThan(32 * MIB)
    await store.close()
    // A collection waits for every import that runs.
    await call(node, 'repo/gc')
    release()
    await expect(holding).rejects.toMatchObject({ code: 'BACKEND' })
  })

  it('before anything was sent sends nothing', async (context) => {
    const node = await open(context)
    const proxy = await startFaultyProxy({ target: node.api })
    onTestFinished(() => proxy.close())
    const store = await openStore({ api: proxy.url })
    const before = proxy.requests.length
    const reason = new Error('the caller gave up')
    await expect(store.add(sampleBytes(1, 10), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(proxy.requests).toHaveLength(before)
  })
})

/** A request that waits for a collection. */
const isHeldUp = ({ url }: SeenRequest): boolean => /^\/api\/v0\/(?:dag\/import|block\/put|pin\/add)\?/.test(url)

describe('a daemon that works for longer than the stall time', () => {
  // A busy machine answers within it. The tests wait for it on a clock of their own, by which it is less than the half second in
  // which a pin tells how far it is.
  const STALL_MS = 10_000

  it('is waited for while a collection keeps an add out', async (context) => {
    const node = await open(context)
    const proxy = await startFaultyProxy({ target: node.api })
    onTestFinished(() => proxy.close())
    const store = await openStore({ api: proxy.url }, { stallTimeoutMs: STALL_MS })
    // Somebody's import holds the lock, a collection waits for it, and everything else for the collection.
    const other = await openStore(node)
    const { holding, release } = await holdLock(other)
    const collecting = call(node, 'repo/gc')
    await untilActive(node, 'repo/gc')
    let isDone = false
    const adding = await passTime(
      [proxy],
      async () => {
        const added = store.add(sampleBytes(99, 20 * MIB), { name: 'waiting' }).finally(() => (isDone = true))
        // Whoever awaits it hears of its failure, but later.
        added.catch(() => undefined)
        // It has been told four times that nothing moves, and has asked why.
        await untilAsked(proxy, 4)
        return { added }
      },
      { isHeldUp },
    )
    expect(isDone).toBe(false)
    release()
    await holding
    await collecting
    const { cid } = await adding.added
    // By the one that does not give up on a busy machine.
    expect(await other.verify(cid)).toBeGreaterThan(20 * MIB)
    expect((await collect(store.names.list())).map(({ name }) => name)).toEqual(['slow', 'waiting'])
  })

  it('is waited for while a collection keeps a pin out', async (context) => {
    const node = await open(context)
    const proxy = await startFaultyProxy({ target: node.api })
    onTestFinished(() => proxy.close())
    const [store, other] = [await openStore({ api: proxy.url }, { stallTimeoutMs: STALL_MS }), await openStore(node)]
    const { cid } = await other.add(sampleBytes(1, MIB), { pin: false })
    const { holding, release } = await holdLock(other)
    const collecting = call(node, 'repo/gc')
    await untilActive(node, 'repo/gc')
    const { pinning } = await passTime(
      [proxy],
      async () => {
        const pinned = store.pinAs(cid)
        // It tells its progress every half second, asks in between, and once it is told the same twice.
        await Promise.race([untilAsked(proxy, 4), pinned])
        return { pinning: pinned }
      },
      { isHeldUp },
    )
    release()
    await Promise.all([holding, collecting, pinning])
    expect((await collect(other.daemonPins())).map((pin) => pin.cid.toString())).toContain(cid.toString())
  })

  it('is given up when it does not know the call', async (context) => {
    const node = await open(context)
    const proxy = await startFaultyProxy({ target: node.api })
    onTestFinished(() => proxy.close())
    const store = await openStore({ api: proxy.url }, { stallTimeoutMs: STALL_MS })
    proxy.fault = ({ url }) => (url.startsWith('/api/v0/repo/gc?') ? { type: 'hang' } : { type: 'none' })
    await passTime([proxy], () => expect(store.gc()).rejects.toMatchObject({ code: 'BACKEND', retryable: true }))
  })
})

/** Adds what does not end before it is released, so that collections wait. */
async function holdLock(store: KuboStore): Promise<{ holding: Promise<unknown>; release: () => void }> {
  const source = Promise.withResolvers<void>()
  const isReading = Promise.withResolvers<void>()
  const slow = async function* (): AsyncGenerator<Uint8Array> {
    for (let seed = 1; seed <= 32; seed++) yield sampleBytes(seed, MIB)
    // More than the operating system takes in its buffers: the daemon reads, so it holds the lock.
    isReading.resolve()
    await source.promise
  }
  const holding = store.add(slow(), { name: 'slow' })
  // Whoever awaits it hears of its failure, but maybe later.
  holding.catch(() => undefined)
  onTestFinished(() => source.resolve())
  await isReading.promise
  return { holding, release: () => source.resolve() }
}

interface Running {
  Active: boolean
  Command: string
}

async function untilActive(node: KuboNode, command: string): Promise<void> {
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
