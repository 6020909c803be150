import { buildFile, decodeNode, readFile, walkDag, type Block, type CID, type GetBlock } from '@x/cid'
import {
  BackendError,
  buildSource,
  createPlannedSession,
  toSourceNode,
  type AheadOptions,
  type SourceNode,
} from '@x/storage-core'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { concat, sampleBytes } from '../src/conformance/sample.ts'

/** Blocks whose reading can be watched. */
class Watched {
  readonly held = new Map<string, Uint8Array>()
  readonly asked: string[] = []
  outstanding = 0
  most = 0
  /** How often it was asked while it had three others to answer. */
  busy = 0

  /** A copy, for the builder uses the memory again. */
  keep = ({ cid, bytes }: Block): void => void this.held.set(cid.toString(), bytes.slice())

  get: GetBlock = async (cid, { signal }) => {
    this.asked.push(cid.toString())
    this.outstanding += 1
    this.most = Math.max(this.most, this.outstanding)
    if (this.outstanding > 3) this.busy += 1
    try {
      await new Promise<void>((resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        setImmediate(resolve)
      })
      const bytes = this.held.get(cid.toString())
      if (!bytes) throw new BackendError(`nobody has ${cid}`, { retryable: true })
      return bytes.slice()
    } finally {
      this.outstanding -= 1
    }
  }
}

async function watchedFile(leaves: number, profile: 'kubo-v1' | 'unixfs-v0-2015' = 'kubo-v1') {
  const watched = new Watched()
  const bytes = sampleBytes(leaves, leaves * 262_144 - 7)
  const { cid } = await buildFile([bytes], { profile, onBlock: watched.keep })
  return { watched, bytes, cid }
}

const fullLeaf = (seed: number): Uint8Array => sampleBytes(seed, 262_144)

describe('a planned session', () => {
  it('asks for every block of a file once, several at a time, and not for too many', async () => {
    const { watched, bytes, cid } = await watchedFile(40)
    const session = createPlannedSession(watched.get, cid, { aheadBlocks: 5 })
    const read = await concat(readFile(session.get, cid))
    await session.close()
    expect(Buffer.compare(read, bytes)).toBe(0)
    expect(watched.asked.length).toBe(41)
    expect(new Set(watched.asked).size).toBe(41)
    expect(watched.busy).toBeGreaterThan(30)
    expect(watched.most).toBeLessThanOrEqual(11)
  })

  it('keeps to a number of bytes', async () => {
    const { watched, cid } = await watchedFile(40)
    const session = createPlannedSession(watched.get, cid, { aheadBlocks: 100, aheadBytes: 1_000_000 })
    await concat(readFile(session.get, cid))
    await session.close()
    expect(watched.most).toBeLessThanOrEqual(5)
  })

  it('asks for the leaves of a range alone', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(2_700_000),
        fc.nat(900_000),
        fc.integer({ min: 1, max: 9 }),
        async (offset, length, ahead) => {
          const { watched, bytes, cid } = await watchedFile(10)
          const session = createPlannedSession(watched.get, cid, { offset, length, aheadBlocks: ahead })
          const read = await concat(readFile(session.get, cid, { offset, length }))
          await session.close()
          expect(Buffer.compare(read, bytes.subarray(offset, offset + length))).toBe(0)
          const end = Math.min(bytes.length, offset + length)
          const leaves = offset < end ? Math.ceil(end / 262_144) - Math.floor(offset / 262_144) : 0
          expect(watched.asked.length).toBe(1 + leaves)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('gives every block in any order, of any tree', async () => {
    let files = 0
    const tree: fc.Arbitrary<SourceNode> = fc.letrec<{ node: SourceNode }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        // What is there twice is asked for twice, by a session that cannot know that its reader remembers it.
        fc.integer({ min: 1, max: 1_200_000 }).map((size) => toSourceNode(sampleBytes(size + 1000 * ++files, size))),
        fc.array(tie('node'), { minLength: 1, maxLength: 5 }).map((nodes): SourceNode => ({
          type: 'directory',
          entries: () => nodes.map((node, index) => [`entry ${index}`, node] as const),
        })),
      ),
    })).node
    await fc.assert(
      fc.asyncProperty(
        tree,
        fc.integer({ min: 1, max: 8 }),
        fc.infiniteStream(fc.nat(1000)),
        async (node, ahead, draws) => {
          const watched = new Watched()
          const { cid } = await buildSource(node, {
            profile: 'kubo-v1',
            onBlock: watched.keep,
            buildOneFile: (file, options) => buildFile(file.open({}), { ...options, onBlock: watched.keep }),
          })
          const all: CID[] = []
          for await (const block of walkDag(watched.get, cid)) all.push(block)
          const inOrder = await readAll(watched, cid, all, { aheadBlocks: ahead })
          expect(inOrder).toBeLessThanOrEqual(all.length)
          const shuffled = all.map((block) => ({ block, at: draws.next().value ?? 0 })).toSorted((a, b) => a.at - b.at)
          await readAll(
            watched,
            cid,
            shuffled.map(({ block }) => block),
            { aheadBlocks: ahead },
          )
          expect(watched.outstanding).toBe(0)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('shares what comes twice in a row, and gives each reader bytes of its own', async () => {
    const watched = new Watched()
    const { cid } = await buildFile([new Uint8Array(20 * 262_144)], { profile: 'kubo-v1', onBlock: watched.keep })
    const session = createPlannedSession(watched.get, cid, { aheadBlocks: 4 })
    for await (const piece of readFile(session.get, cid)) {
      expect(piece.every((byte) => byte === 0)).toBe(true)
      piece.fill(1)
    }
    await session.close()
    expect(watched.asked.length).toBeLessThan(8)
  })

  it('stops what is passed over', async () => {
    const { watched, cid } = await watchedFile(40)
    const root = decodeNode(cid, await watched.get(cid, {}))
    if (root.type !== 'file') throw new Error('no file')
    const leaves = root.children.map((child) => child.cid)
    let waiting = 0
    // A leaf that is asked for ahead does not come until it is stopped.
    const get: GetBlock = async (wanted, options) => {
      const bytes = await watched.get(wanted, options)
      if (wanted.equals(cid) || read.includes(wanted.toString())) return bytes
      waiting += 1
      const { signal } = options
      await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }))
      waiting -= 1
      throw signal?.reason
    }
    const read: string[] = []
    const session = createPlannedSession(get, cid, { aheadBlocks: 4 })
    await session.get(cid, {})
    // Every tenth: what lies between is passed over.
    for (const leaf of leaves.filter((_, index) => index % 10 === 9)) {
      read.push(leaf.toString())
      await session.get(leaf, {})
      expect(waiting).toBeLessThanOrEqual(8)
    }
    await session.close()
    expect(waiting).toBe(0)
  })

  it('keeps no block that was handed on', async () => {
    const watched = new Watched()
    const order = [1, 2, 3, 4, 1, 2]
    const { cid } = await buildFile(order.map(fullLeaf), { profile: 'kubo-v1', onBlock: watched.keep })
    const session = createPlannedSession(watched.get, cid, { aheadBlocks: 1 })
    const right: boolean[] = []
    for await (const piece of readFile(session.get, cid)) {
      right.push(Buffer.compare(piece, fullLeaf(order[right.length] ?? 0)) === 0)
      piece.fill(0)
    }
    await session.close()
    expect(right).toEqual(order.map(() => true))
  })

  it('takes what is held, goes on below it, and counts what is not', async () => {
    const { watched, cid } = await watchedFile(6)
    const root = await watched.get(cid, {})
    watched.asked.length = 0
    let fetched = 0
    const session = createPlannedSession(watched.get, cid, {
      held: async (wanted) => (wanted.equals(cid) ? root : undefined),
      onFetched: () => (fetched += 1),
    })
    await concat(readFile(session.get, cid))
    await session.close()
    expect(watched.asked).not.toContain(cid.toString())
    expect(fetched).toBe(6)
    expect(watched.most).toBeGreaterThan(2)
  })

  it('says what failed when it is asked for, not before', async () => {
    const { watched, cid } = await watchedFile(6)
    const keys = [...watched.held.keys()]
    watched.held.delete(keys[3] ?? '')
    const session = createPlannedSession(watched.get, cid, { aheadBlocks: 6 })
    const pieces = readFile(session.get, cid)
    for (let leaf = 0; leaf < 3; leaf++) expect((await pieces.next()).done).toBe(false)
    await expect(pieces.next()).rejects.toMatchObject({ code: 'BACKEND' })
    await session.close()
  })

  it('stops what is on its way when it is closed, and with the signal', async () => {
    const { watched, cid } = await watchedFile(12)
    const session = createPlannedSession(watched.get, cid, { aheadBlocks: 8 })
    await readFile(session.get, cid).next()
    expect(watched.outstanding).toBeGreaterThan(0)
    await session.close()
    expect(watched.outstanding).toBe(0)
    await expect(session.get(cid, {})).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
    const caller = new AbortController()
    const reason = new Error('the caller gave up')
    const stopped = createPlannedSession(watched.get, cid, { signal: caller.signal, aheadBlocks: 8 })
    const pieces = readFile(stopped.get, cid, { signal: caller.signal })
    await pieces.next()
    caller.abort(reason)
    await expect(pieces.next()).rejects.toBe(reason)
    await stopped.close()
    expect(watched.outstanding).toBe(0)
  })
})

/** How many blocks were asked for. */
async function readAll(watched: Watched, root: CID, order: readonly CID[], options: AheadOptions): Promise<number> {
  const before = watched.asked.length
  const session = createPlannedSession(watched.get, root, options)
  for (const cid of order) {
    const bytes = await session.get(cid, {})
    expect(Buffer.compare(bytes, watched.held.get(cid.toString()) ?? new Uint8Array())).toBe(0)
  }
  await session.close()
  return watched.asked.length - before
}
