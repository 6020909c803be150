import { buildFile, encodeDagCbor, type BuiltBlock } from '@x/cid'
import { expect, it } from 'vitest'

import type { ContentStore } from '../content-store.ts'
import { openMemoryStore } from '../memory-store.ts'
import { pull } from '../pull.ts'
import { profiles } from './content-adding.ts'
import type { ReadingSetup } from './content-reading.ts'
import {
  collect,
  concat,
  directoryOf,
  fourLeaves,
  keysOf,
  randomBlock,
  sameBytes,
  sampleBytes,
  texts,
} from './sample.ts'

const hello = new TextEncoder().encode('hello world')

async function expectEmpty(store: ContentStore): Promise<void> {
  expect(await collect(store.roots())).toEqual([])
  expect(await collect(store.pins())).toEqual([])
  expect(await collect(store.names.list())).toEqual([])
}

/** `pull` from a source into a store in memory. */
export function describePulling({ open }: ReadingSetup): void {
  it.each(profiles)('brings a whole tree under %s, once', async (profile) => {
    const { origin, source } = await open()
    const into = await openMemoryStore()
    const big = fourLeaves(profile)
    const tree = directoryOf({
      'big.bin': big,
      'again.bin': big,
      empty: {},
      link: 'sub/a.txt',
      sub: { 'a.txt': hello, zeros: new Uint8Array(3_000_000) },
    })
    const { cid } = await origin.add(tree, { profile })
    const pulled = await pull(into, source, cid, { name: 'a/tree', metadata: { from: 'there' } })
    expect(pulled.cid).toEqual(cid)
    expect(pulled.fetched).toBeGreaterThan(big.length)
    expect(await into.has(cid)).toBe(true)
    expect(await collect(into.roots())).toMatchObject([{ cid, pinned: true, names: ['a/tree'] }])
    expect(await into.names.get('a/tree')).toMatchObject({ cid, metadata: { from: 'there' } })
    for (const path of ['big.bin', 'again.bin']) {
      expect(sameBytes(await concat(into.cat(cid, { path })), big)).toBe(true)
    }
    expect(await concat(into.cat(cid, { path: 'sub/a.txt' }))).toEqual(hello)
    expect(await into.stat(cid, { path: 'link' })).toMatchObject({ type: 'symlink', target: 'sub/a.txt' })
    expect(await pull(into, source, cid)).toEqual({ cid, fetched: 0, blocks: 0 })
    await into.close()
  })

  it('brings a directory of several shards', async () => {
    const { origin, source } = await open()
    const into = await openMemoryStore()
    const files = Array.from(
      { length: 4000 },
      (_, index) => [`a file with a rather long name ${index}`, hello] as const,
    )
    const { cid } = await origin.add(directoryOf(Object.fromEntries(files)), { profile: 'unixfs-v0-2015' })
    await pull(into, source, cid)
    expect((await collect(into.ls(cid))).length).toBe(files.length)
    await into.close()
  })

  it('brings a block that is no UnixFS', async () => {
    const { origin, source } = await open()
    const into = await openMemoryStore()
    const { cid, bytes } = await encodeDagCbor({ manifest: true })
    await origin.blocks.put(cid, bytes)
    await origin.pin(cid)
    await pull(into, source, cid)
    expect(await into.blocks.get(cid)).toEqual(bytes)
    await into.gc()
    expect(await into.has(cid)).toBe(true)
    await into.close()
  })

  it('brings what is missing alone, and mends nothing that is whole', async () => {
    const { origin, source } = await open()
    const into = await openMemoryStore()
    const big = fourLeaves('kubo-v1')
    await into.add(big, { profile: 'kubo-v1' })
    const { cid } = await origin.add(directoryOf({ big, 'new.bin': sampleBytes(21, 400_000) }), { profile: 'kubo-v1' })
    await pull(into, source, cid)
    expect(sameBytes(await concat(into.cat(cid, { path: 'big' })), big)).toBe(true)
    expect(await into.verify(cid)).toBeGreaterThan(big.length)
    await into.close()
  })

  it('keeps the pin of one of two at once', async () => {
    const { origin, source } = await open()
    const into = await openMemoryStore()
    const { cid } = await origin.add(sampleBytes(23, 500))
    await Promise.all([pull(into, source, cid), pull(into, source, cid, { pin: false })])
    expect(texts((await collect(into.pins())).map((pin) => pin.cid))).toEqual(texts([cid]))
    await into.close()
  })

  it('leaves nothing visible of what is absent', async () => {
    const { source } = await open()
    const into = await openMemoryStore()
    const { cid } = await randomBlock()
    await expect(pull(into, source, cid, { name: 'absent' })).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    await expectEmpty(into)
    await into.close()
  })

  it('leaves nothing visible of what is there in part, and names what is missing', async () => {
    const { origin, source } = await open()
    const into = await openMemoryStore()
    const built: BuiltBlock[] = []
    await buildFile([fourLeaves('kubo-v1')], { profile: 'kubo-v1', onBlock: (block) => void built.push(block) })
    const [, missing] = built
    const root = built.at(-1)
    if (!missing || !root) throw new Error('no blocks')
    for (const block of built) if (block !== missing) await origin.blocks.put(block.cid, block.bytes)
    const absent = { code: 'NOT_FOUND', cid: missing.cid }
    await expect(pull(into, source, root.cid)).rejects.toMatchObject(absent)
    await expectEmpty(into)
    await into.gc()
    expect(await keysOf(into.blocks)).toEqual([])
    await into.close()
  })

  it('stops in the middle, with signal.reason, and leaves nothing visible', async () => {
    const { origin, source } = await open()
    const into = await openMemoryStore()
    const { cid } = await origin.add(sampleBytes(22, 8_000_000))
    const caller = new AbortController()
    const reason = new Error('the caller gave up')
    const pulled = pull(into, source, cid, { signal: caller.signal, onProgress: () => caller.abort(reason) })
    await expect(pulled).rejects.toBe(reason)
    await expectEmpty(into)
    // Nothing is broken by it.
    await pull(into, source, cid)
    expect(texts((await collect(into.pins())).map((pin) => pin.cid))).toEqual(texts([cid]))
    await into.close()
  })
}
