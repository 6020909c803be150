import type { CID } from '@x/cid'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'

import type { AbortOptions } from '../blockstore.ts'
import type { ContentStore } from '../content-store.ts'
import { openMemoryStore } from '../memory-store.ts'
import type { ReplicaTarget } from '../replication/replica-target.ts'
import { verifyReplica } from '../replication/verify-replica.ts'
import { needs } from './needs.ts'
import { collect, directoryOf, fourLeaves, randomBlock, sampleBytes } from './sample.ts'

export interface ReplicaTargetSetup {
  /** An empty one, closed with `onTestFinished`. */
  open: () => Promise<ReplicaTarget>
  /** One whose other side cannot be asked: nobody listens. Without it those tests are skipped. */
  openBroken?: (() => Promise<ReplicaTarget>) | undefined
  /**
   * A store from which the target gets what it is told to keep, where it fetches that by itself. Default: one in memory,
   * for targets to which bytes are sent.
   */
  openOriginal?: (() => Promise<ContentStore>) | undefined
}

type Call = (target: ReplicaTarget, root: CID, options: AbortOptions & { original: ContentStore }) => Promise<unknown>

// A new method on ReplicaTarget does not compile until it has its line here.
const targetCalls: Record<Exclude<keyof ReplicaTarget, 'name' | 'source' | 'status' | 'close'>, Call> = {
  put: (target, root, { original, signal }) => target.put(root, original, { signal }),
  stateOf: (target, root, { signal }) => target.stateOf(root, { signal }),
  remove: (target, root, { signal }) => target.remove(root, { signal }),
  list: (target, _root, { signal }) => collect(target.list({ signal })),
}

const calls = Object.entries(targetCalls)

/** The tests that every target of copies passes. Call it at the top of a test file. */
export function replicaTargetConformance(name: string, setup: ReplicaTargetSetup): void {
  const { open, openBroken, openOriginal = openInMemory } = setup

  async function openBoth(): Promise<{ target: ReplicaTarget; original: ContentStore }> {
    return { target: await open(), original: await openOriginal() }
  }

  describe(`${name} is a ReplicaTarget`, () => {
    it('keeps a file of several leaves, and reads it back', async () => {
      const { target, original } = await openBoth()
      const { cid } = await original.add(fourLeaves('unixfs-v1-2025'))
      expect(await target.stateOf(cid)).toMatchObject({ state: 'absent' })
      await untilHeld(target, original, cid)
      expect(await target.stateOf(cid)).toEqual({ state: 'held' })
      if (target.source) {
        await verifyReplica(target.source, original, cid)
        await verifyReplica(target.source, original, cid, { leaves: 'all' })
      }
    })

    it('keeps a directory, with what is in it', async () => {
      const { target, original } = await openBoth()
      const tree = {
        'config.json': sampleBytes(1, 300),
        onnx: { 'model.onnx': sampleBytes(2, 1_500_000) },
        link: 'config.json',
      }
      const { cid } = await original.add(directoryOf(tree))
      await untilHeld(target, original, cid)
      expect(await target.stateOf(cid)).toEqual({ state: 'held' })
      if (target.source) await target.source.verify(cid)
    })

    it('may be told twice', async () => {
      const { target, original } = await openBoth()
      const { cid } = await original.add(sampleBytes(3, 2_000_000))
      await untilHeld(target, original, cid)
      await untilHeld(target, original, cid)
      expect(await listed(target)).toEqual([String(cid)])
    })

    it('lists what it keeps, and lets go of one without the others', async () => {
      const { target, original } = await openBoth()
      const [one, two] = [await original.add(sampleBytes(4, 100)), await original.add(sampleBytes(5, 1_200_000))]
      for (const { cid } of [one, two]) await untilHeld(target, original, cid)
      expect(await listed(target)).toEqual([String(one.cid), String(two.cid)].toSorted())
      expect(await target.remove(one.cid)).toBe(true)
      expect(await target.remove(one.cid)).toBe(false)
      expect(await target.stateOf(one.cid)).toMatchObject({ state: 'absent' })
      expect(await target.stateOf(two.cid)).toEqual({ state: 'held' })
      expect(await listed(target)).toEqual([String(two.cid)])
      if (target.source) await target.source.verify(two.cid)
    })

    it('keeps what two roots share for as long as one of them is kept', async () => {
      const { target, original } = await openBoth()
      const shared = sampleBytes(6, 1_300_000)
      const one = await original.add(directoryOf({ shared, own: sampleBytes(7, 10) }))
      const two = await original.add(directoryOf({ shared, own: sampleBytes(8, 10) }))
      for (const { cid } of [one, two]) await untilHeld(target, original, cid)
      await target.remove(one.cid)
      expect(await target.stateOf(two.cid)).toEqual({ state: 'held' })
      if (target.source) await target.source.verify(two.cid)
    })

    it.each(calls)('%s rejects with signal.reason', async (_name, call) => {
      const { target, original } = await openBoth()
      const { cid } = await original.add((await randomBlock()).bytes)
      const reason = new Error('the caller gave up')
      await expect(call(target, cid, { original, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    })

    it.each(calls)('%s rejects after close', async (_name, call) => {
      const { target, original } = await openBoth()
      const { cid } = await original.add((await randomBlock()).bytes)
      await target.close()
      await target.close()
      await expect(call(target, cid, { original })).rejects.toMatchObject({ code: 'BACKEND' })
    })

    it('status says that a good one is available', async () => {
      const status = await (await open()).status()
      expect(status).toMatchObject({ available: true })
      expect(status.reason).toBeUndefined()
    })

    describe('that cannot be asked', () => {
      beforeEach(needs(openBroken, 'openBroken'))

      it.each(calls)('%s says so', async (_name, call) => {
        const broken = await brokenOf(openBroken)
        const original = await openOriginal()
        const { cid } = await original.add((await randomBlock()).bytes)
        await expect(call(broken, cid, { original })).rejects.toMatchObject({ code: 'BACKEND' })
      })

      it('status says that it is not available, and why', async () => {
        const status = await (await brokenOf(openBroken)).status()
        expect(status).toMatchObject({ available: false })
        expect(status.reason).toMatch(/\S/)
      })
    })
  })
}

async function openInMemory(): Promise<ContentStore> {
  const store = await openMemoryStore({ name: 'original' })
  onTestFinished(() => store.close())
  return store
}

async function brokenOf(openBroken: ReplicaTargetSetup['openBroken']): Promise<ReplicaTarget> {
  const broken = await openBroken?.()
  if (!broken) throw new Error('there is no openBroken')
  return broken
}

// Of a target that fetches by itself; nothing says when it has ended but to ask.
const ASK_AGAIN_MS = 50

async function untilHeld(target: ReplicaTarget, original: ContentStore, root: CID): Promise<void> {
  let { state, reason } = await target.put(root, original)
  while (state === 'pending') {
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))
    ;({ state, reason } = await target.stateOf(root))
  }
  expect({ state, reason }).toEqual({ state: 'held', reason: undefined })
}

const listed = async (target: ReplicaTarget): Promise<string[]> =>
  (await collect(target.list())).map(({ cid }) => String(cid)).toSorted()
