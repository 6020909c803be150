import { buildDirectory, buildFile, IntegrityError, type CID, type NodeLink } from '@x/cid'
import {
  BlockNotFoundError,
  createContentSource,
  type AbortOptions,
  type BlockSource,
  type ContentSource,
} from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import { collect, sampleBytes } from '../src/conformance/sample.ts'

/** A source of blocks that are told to it, each read of which takes a turn of the event loop. */
class Made {
  readonly held = new Map<string, Uint8Array>()
  readonly asked: string[] = []
  readonly source: ContentSource
  readonly reading = new Set<AbortOptions>()
  /** Reads at a time. */
  most = 0
  damaged: CID | undefined

  constructor() {
    const blocks: BlockSource = {
      name: 'made',
      has: async (cid) => this.held.has(`${cid}`),
      get: async (cid, { signal } = {}) => {
        signal?.throwIfAborted()
        this.asked.push(`${cid}`)
        if (this.damaged?.equals(cid)) throw new IntegrityError(`${cid}: other bytes`, { cid })
        const bytes = this.held.get(`${cid}`)
        if (!bytes) throw new BlockNotFoundError(cid)
        const read = { signal }
        this.reading.add(read)
        this.most = Math.max(this.most, this.reading.size)
        await new Promise(setImmediate)
        this.reading.delete(read)
        signal?.throwIfAborted()
        return bytes.slice()
      },
      close: async () => undefined,
    }
    const probe = { name: 'made', available: true, probedAt: new Date().toISOString(), probeMs: 0, details: {} }
    this.source = createContentSource({ blocks, probe: async () => probe })
  }

  keep = ({ cid, bytes }: { cid: CID; bytes: Uint8Array }): void => void this.held.set(`${cid}`, bytes.slice())

  async file(seed: number, byteLength: number): Promise<CID> {
    return (await buildFile([sampleBytes(seed, byteLength)], { profile: 'kubo-v1', onBlock: this.keep })).cid
  }

  async directory(entries: Iterable<readonly [string, CID]>): Promise<CID> {
    const links = Array.from(entries, ([name, cid]): NodeLink => ({ name, cid, dagBytes: 1 }))
    return (await buildDirectory(links, { profile: 'kubo-v1', onBlock: this.keep })).cid
  }

  /** Names in their order, each linked to the same. */
  async manyTimes(cid: CID, count: number): Promise<CID> {
    return this.directory(Array.from({ length: count }, (_, index) => [`${100_000 + index}`, cid] as const))
  }
}

describe('stat and ls', () => {
  it('read what is linked many times once', async () => {
    const made = new Made()
    const small = await made.directory([
      ['a', await made.file(1, 10)],
      ['b', await made.file(2, 20)],
    ])
    const root = await made.manyTimes(small, 1000)
    expect(await made.source.stat(root)).toMatchObject({ type: 'directory', size: 30_000 })
    expect(made.asked.length).toBe(4)
    made.asked.length = 0
    const entries = await collect(made.source.ls(root))
    expect(entries.map(({ size }) => size)).toEqual(Array.from({ length: 1000 }, () => 30))
    // `ls` reads the root by itself.
    expect(made.asked.length).toBe(4)
  })

  it('read every directory once, and a few blocks at a time', async () => {
    const made = new Made()
    const parts: [string, CID][] = []
    for (let index = 0; index < 30; index++) {
      const files: [string, CID][] = []
      for (let file = 0; file < 5; file++) files.push([`${file}`, await made.file(5 * index + file, 100)])
      parts.push([`${10 + index}`, await made.directory(files)])
    }
    const root = await made.directory(parts)
    expect(await made.source.stat(root)).toMatchObject({ size: 15_000 })
    expect(made.asked.length).toBe(181)
    expect(new Set(made.asked).size).toBe(181)
    expect(made.most).toBeGreaterThan(4)
    expect(made.most).toBeLessThanOrEqual(8)
  })

  it('read the shards of a directory before their turn', async () => {
    const made = new Made()
    const file = await made.file(1, 7)
    const sharded = await made.manyTimes(file, 8000)
    const root = await made.directory([['sharded', sharded]])
    made.most = 0
    expect(await made.source.stat(root)).toMatchObject({ size: 56_000 })
    expect(made.most).toBeGreaterThan(2)
    expect(new Set(made.asked).size).toBe(made.asked.length)
  })

  it('refuse a DAG whose files have over 2^53 bytes', async () => {
    const made = new Made()
    let nested = await made.file(1, 1000)
    for (let depth = 0; depth < 45; depth++) nested = await made.manyTimes(nested, 1000)
    await expect(made.source.stat(nested)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(collect(made.source.ls(nested))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(made.asked.length).toBeLessThan(200)
  })

  it('name the file that is missing, and stop what is on its way', async () => {
    const made = new Made()
    const files: [string, CID][] = []
    for (let index = 0; index < 40; index++) files.push([`${10 + index}`, await made.file(index, 100)])
    const [, missing] = files[0] ?? []
    if (!missing) throw new Error('no files')
    made.held.delete(`${missing}`)
    const root = await made.directory([['sub', await made.directory(files)]])
    await expect(made.source.stat(root)).rejects.toMatchObject({ code: 'NOT_FOUND', cid: missing })
    expect(made.reading.size).toBeGreaterThan(0)
    expect([...made.reading].every(({ signal }) => signal?.aborted)).toBe(true)
    const listing = collect(made.source.ls(root, { path: 'sub' }))
    await expect(listing).rejects.toMatchObject({ code: 'NOT_FOUND', cid: missing })
    expect([...made.reading].every(({ signal }) => signal?.aborted)).toBe(true)
  })

  it('say in which file a block is damaged', async () => {
    const made = new Made()
    const file = await made.file(1, 300_000)
    const root = await made.directory([['sub', await made.directory([['file', file]])]])
    expect(await made.source.stat(root)).toMatchObject({ size: 300_000 })
    made.damaged = file
    await expect(made.source.stat(root)).rejects.toMatchObject({ code: 'INTEGRITY', file: 'sub/file' })
  })
})
