import { type CID, encodeDagCbor, RAW, walkDag, type Block } from '@x/cid'
import { beforeEach, describe, expect, it } from 'vitest'

import type { ContentStat, ContentStore } from '../content-store.ts'
import { exportCar } from '../export-car.ts'
import { importCar } from '../import-car.ts'
import { openMemoryStore } from '../memory-store.ts'
import type { AddSource } from '../source.ts'
import { expectNothingVisible, hamt, profiles, sources } from './content-adding.ts'
import type { ContentStoreSetup } from './content-store.ts'
import { needs } from './needs.ts'
import {
  collect,
  concat,
  directoryOf,
  fourLeaves,
  inPieces,
  join,
  keysOf,
  randomBlock,
  readUntilError,
  sameBytes,
  sampleBytes,
  texts,
} from './sample.ts'

/** Stands for content under every codec and layout: it has more than one block, and one of them twice. */
const tree = (): AddSource =>
  directoryOf({ a: fourLeaves('kubo-v1'), again: fourLeaves('kubo-v1'), empty: new Uint8Array(), link: 'a' })

const fileAndFew = (): AddSource => directoryOf({ bytes: fourLeaves('kubo-v1'), few: sampleBytes(8, 300) })

/** The CAR of some content, as the memory store writes it. */
async function carOf(source: AddSource): Promise<{ root: CID; car: Uint8Array; blocks: Block[] }> {
  const store = await openMemoryStore()
  const { cid: root } = await store.add(source, { profile: 'kubo-v1' })
  return { root, car: await concat(exportCar(store, root)), blocks: await blocksBelow(store, root) }
}

async function blocksBelow(store: ContentStore, root: CID): Promise<Block[]> {
  const get = (cid: CID): Promise<Uint8Array> => store.blocks.get(cid)
  const blocks: Block[] = []
  for await (const cid of walkDag(get, root)) blocks.push({ cid, bytes: await get(cid) })
  return blocks
}

/** A CAR put together by hand. */
export async function handMade(roots: readonly CID[], blocks: readonly Block[]): Promise<Uint8Array> {
  const header = (await encodeDagCbor({ roots, version: 1 })).bytes
  const sections = blocks.map(({ cid, bytes }) => join([cid.bytes, bytes]))
  return join([header, ...sections].flatMap((part) => [Uint8Array.from(leb128(part.length)), part]))
}

function leb128(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb128(value >> 7)]
}

function indexIn(bytes: Uint8Array, part: Uint8Array): number {
  for (let start = 0; start + part.length <= bytes.length; start++) {
    if (part.every((byte, index) => bytes[start + index] === byte)) return start
  }
  throw new Error('it is not there')
}

/** Gives its pieces, then nothing for ever. */
async function* silentAfter(bytes: Uint8Array, onSilence: () => void): AsyncGenerator<Uint8Array> {
  yield bytes
  onSilence()
  await new Promise(() => {})
}

export function describeCar(setup: ContentStoreSetup): void {
  describe('a CAR', () => {
    describeRoundTrips(setup)
    describeExports(setup)
    describeRecords(setup)
    describeRefusals(setup)
    describeCollections(setup)
    describe('damage', () => {
      describeDamaged(setup)
    })
  })
}

function describeRoundTrips({ open }: ContentStoreSetup): void {
  describe.each(profiles)('of content under %s', (profile) => {
    it.each(sources)('%s comes back as it was, with the bytes that every store writes', async (_name, make) => {
      const [from, memory, into] = [await open(), await openMemoryStore(), await open()]
      const { cid, type, size } = await from.add(make(profile), { profile })
      await memory.add(make(profile), { profile })
      const progress: number[] = []
      const car = await concat(exportCar(from, cid, { onProgress: (written) => void progress.push(written) }))
      expect(progress.at(-1)).toBe(car.length)
      expect(sameBytes(car, await concat(exportCar(memory, cid)))).toBe(true)

      const blocks = await blocksBelow(memory, cid)
      const blockBytes = blocks.reduce((sum, { bytes }) => sum + bytes.length, 0)
      const events: { loaded: number; blocks: number }[] = []
      const imported = await importCar(into, inPieces(car), { onProgress: (event) => void events.push(event) })
      expect(imported).toEqual({ roots: [cid], blocks: blocks.length, size: blockBytes })
      expect(events.at(-1)).toEqual({ loaded: blockBytes, blocks: blocks.length })
      expect(await collect(into.roots())).toMatchObject([{ cid, type, size, pinned: true, names: [] }])
      expect(texts((await collect(into.pins())).map((pin) => pin.cid))).toEqual(texts([cid]))
      expect(await into.has(cid)).toBe(true)
      expect(await into.gc()).toMatchObject({ roots: [], blocks: 0 })
      await expectSame(from, into, cid)
      expect(sameBytes(await concat(exportCar(into, cid)), car)).toBe(true)
    })
  })

  it('of a sharded directory comes back', async () => {
    const [from, into] = [await open(), await open()]
    const { cid, size } = await from.add(hamt())
    const { blocks } = await importCar(into, exportCar(from, cid))
    expect(blocks).toBe((await collect(exportCar(from, cid))).length - 1)
    expect(await collect(into.roots())).toMatchObject([{ cid, type: 'directory', size }])
    expect(await collect(into.ls(cid))).toEqual(await collect(from.ls(cid)))
  })

  it('is read from bytes, a Blob, a stream or pieces', async () => {
    const { root, car } = await carOf(tree())
    const bytes = new Uint8Array(car)
    for (const source of [bytes, new Blob([bytes]), new Blob([bytes]).stream(), [bytes], inPieces(bytes, 7001)]) {
      const store = await open()
      expect((await importCar(store, source)).roots).toEqual([root])
      expect(await store.verify(root)).toBeGreaterThan(0)
    }
  })
}

/** Every file, directory and symlink below the root is the same. */
async function expectSame(from: ContentStore, into: ContentStore, root: CID): Promise<void> {
  const [here, there] = await Promise.all([from, into].map((store) => collect(everythingIn(store, root, ''))))
  expect(there?.map(({ stat }) => stat)).toEqual(here?.map(({ stat }) => stat))
  for (const [index, { bytes }] of there?.entries() ?? []) {
    expect(sameBytes(bytes, here?.[index]?.bytes ?? sampleBytes(1, 1))).toBe(true)
  }
}

async function* everythingIn(
  store: ContentStore,
  root: CID,
  path: string,
): AsyncGenerator<{ stat: ContentStat; bytes: Uint8Array }> {
  const stat = await store.stat(root, { path })
  yield { stat, bytes: stat.type === 'file' ? await concat(store.cat(root, { path })) : new Uint8Array() }
  if (stat.type !== 'directory') return
  for await (const { name } of store.ls(root, { path })) {
    yield* everythingIn(store, root, path === '' ? name : `${path}/${name}`)
  }
}

function describeExports({ open }: ContentStoreSetup): void {
  it('of what is absent is refused, and says what', async () => {
    const [store, { cid }] = [await open(), await randomBlock()]
    await expect(collect(exportCar(store, cid))).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    const { root, blocks } = await carOf(tree())
    const missing = blocks.at(-1)
    for (const block of blocks) if (block !== missing) await store.blocks.put(block.cid, block.bytes)
    const { error } = await readUntilError(exportCar(store, root))
    expect(error).toMatchObject({ code: 'NOT_FOUND', cid: missing?.cid })
    expect(String(error)).toContain(root.toString())
    expect(String(error)).toContain(String(missing?.cid))
  })

  it('stops with signal.reason', async () => {
    const store = await open()
    const { cid } = await store.add(tree())
    const caller = new AbortController()
    const reason = new Error('the caller gave up')
    const pieces = exportCar(store, cid, { signal: caller.signal })
    await pieces.next()
    caller.abort(reason)
    await expect(collect(pieces)).rejects.toBe(reason)
    await expect(collect(exportCar(store, cid, { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason)
  })
}

function describeRecords({ open }: ContentStoreSetup): void {
  it('gets a name and metadata', async () => {
    const { root, car } = await carOf(tree())
    const store = await open()
    await importCar(store, car, { name: 'org/model', metadata: { from: 'a CAR' } })
    expect(await store.names.get('org/model')).toMatchObject({ cid: root, metadata: { from: 'a CAR' } })
    expect(await collect(store.roots())).toMatchObject([{ cid: root, pinned: true, names: ['org/model'] }])
    await store.unpin(root)
    expect(await store.gc()).toMatchObject({ roots: [], blocks: 0 })
  })

  it('can be left unpinned, for the next gc to take unless it is named', async () => {
    const { root, car } = await carOf(tree())
    const store = await open()
    await importCar(store, car, { pin: false })
    expect(await collect(store.roots())).toMatchObject([{ cid: root, pinned: false, names: [] }])
    expect(texts((await store.gc()).roots)).toEqual(texts([root]))
    expect(await keysOf(store.blocks)).toEqual([])
    await importCar(store, car, { pin: false, name: 'kept' })
    expect(await collect(store.roots())).toMatchObject([{ cid: root, pinned: false, names: ['kept'] }])
    expect(await store.gc()).toMatchObject({ roots: [], blocks: 0 })
  })

  it('takes no pin away that was there', async () => {
    const { root, car } = await carOf(tree())
    const store = await open()
    await importCar(store, car)
    await importCar(store, car, { pin: false })
    expect(await collect(store.roots())).toMatchObject([{ cid: root, pinned: true }])
  })

  it('may have several roots, or one twice', async () => {
    const [one, two] = [await carOf(tree()), await carOf(sampleBytes(1, 9))]
    const both = await handMade([one.root, two.root, one.root], [...one.blocks, ...two.blocks])
    const store = await open()
    expect((await importCar(store, both)).roots).toEqual([one.root, two.root, one.root])
    expect(texts((await collect(store.pins())).map(({ cid }) => cid))).toEqual(texts([one.root, two.root]))
  })

  it('may have roots and blocks of other codecs', async () => {
    const manifest = await encodeDagCbor({ hello: 'world' })
    const store = await open()
    await importCar(store, await handMade([manifest.cid], [manifest]), { name: 'manifest' })
    await store.gc()
    expect(await store.blocks.get(manifest.cid)).toEqual(manifest.bytes)
  })
}

function describeRefusals({ open }: ContentStoreSetup): void {
  it('that is cut off is refused, and nothing is recorded', async () => {
    const { car, blocks } = await carOf(tree())
    const ends = blocks.map(({ bytes }) => indexIn(car, bytes.subarray(0, 100)) + bytes.length)
    const anywhere = Array.from(new Uint32Array(sampleBytes(3, 40).buffer), (word) => word % car.length)
    // One for all of them: it is empty again each time.
    const store = await open()
    for (const end of [0, 1, ...ends.filter((at) => at < car.length), ...anywhere]) {
      const error: unknown = await importCar(store, car.subarray(0, end), { name: 'cut' }).catch((why: unknown) => why)
      expect(['INVALID_INPUT', 'NOT_FOUND']).toContain(error instanceof Error && 'code' in error && error.code)
      await expectNothingVisible(store)
      await store.gc()
      expect(await keysOf(store.blocks)).toEqual([])
    }
  })

  it('that lacks a block is refused, and both are named', async () => {
    const { root, blocks } = await carOf(tree())
    const other = await carOf(sampleBytes(1, 9))
    const store = await open()
    for (const missing of blocks) {
      const some = blocks.filter((block) => block !== missing)
      for (const roots of [[root], [other.root, root]]) {
        // A CAR may lack what the store has.
        await store.gc()
        const error: unknown = await importCar(store, await handMade(roots, [...other.blocks, ...some])).catch(
          (why: unknown) => why,
        )
        expect(error).toMatchObject({ code: 'NOT_FOUND', cid: missing.cid })
        expect(String(error)).toContain(root.toString())
        expect(String(error)).toContain('the CAR lacks')
        await expectNothingVisible(store)
      }
    }
  })

  it('may lack what the store has', async () => {
    const { root, blocks } = await carOf(tree())
    const store = await open()
    const [first, ...rest] = blocks
    if (!first) throw new Error('no blocks')
    for (const { cid, bytes } of rest) await store.blocks.put(cid, bytes)
    expect(await importCar(store, await handMade([root], [first]))).toMatchObject({ roots: [root], blocks: 1 })
    expect(await store.verify(root)).toBeGreaterThan(0)
  })

  it('with a flipped bit is refused, and the block is named', async () => {
    const { car, blocks } = await carOf(tree())
    const store = await open()
    for (const { cid, bytes } of blocks.filter((block) => block.bytes.length > 0)) {
      const bad = car.slice()
      const at = indexIn(car, bytes.subarray(0, 100)) + (bytes.length >> 1)
      bad[at] = (bad[at] ?? 0) ^ 1
      await expect(importCar(store, bad)).rejects.toMatchObject({ code: 'INTEGRITY', cid })
      await expectNothingVisible(store)
    }
  })

  it('without a root, or with several for one name, is refused before its blocks are read', async () => {
    const [one, two] = [await carOf(tree()), await carOf(sampleBytes(1, 9))]
    const store = await open()
    const invalid = { code: 'INVALID_INPUT' }
    const noRoot = await handMade([], one.blocks)
    await expect(importCar(store, noRoot)).rejects.toMatchObject(invalid)
    const both = await handMade([one.root, two.root], [...one.blocks, ...two.blocks])
    await expect(importCar(store, both, { name: 'both' })).rejects.toMatchObject(invalid)
    await expect(importCar(store, one.car, { name: '../up' })).rejects.toMatchObject(invalid)
    await expect(importCar(store, one.car, { metadata: { of: 'nothing' } })).rejects.toMatchObject(invalid)
    await expectNothingVisible(store)
    expect(await keysOf(store.blocks)).toEqual([])
  })

  it('whose source fails or is stopped is not recorded', async () => {
    const { root, car } = await carOf(tree())
    const store = await open()
    const failure = new Error('the line went dead')
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield car.subarray(0, car.length >> 1)
      throw failure
    }
    await expect(importCar(store, failing())).rejects.toBe(failure)
    const reason = new Error('the caller gave up')
    await expect(importCar(store, car, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const [silent, busy] = [new AbortController(), new AbortController()]
    const half = silentAfter(car.subarray(0, car.length >> 1), () => silent.abort(reason))
    await expect(importCar(store, half, { signal: silent.signal })).rejects.toBe(reason)
    const stopped = importCar(store, car, { signal: busy.signal, onProgress: () => busy.abort(reason) })
    await expect(stopped).rejects.toBe(reason)
    await expectNothingVisible(store)
    expect((await importCar(store, car)).roots).toEqual([root])
  })
}

function describeDamaged({ open, corrupt }: ContentStoreSetup): void {
  beforeEach(needs(corrupt, 'corrupt'))

  it('is not made of what is damaged', async () => {
    const store = await open()
    const bytes = fourLeaves('kubo-v1')
    const { cid } = await store.add(directoryOf({ bytes }), { profile: 'kubo-v1' })
    const leaf = (await blocksBelow(store, cid)).find((block) => block.cid.code === RAW)
    if (!leaf) throw new Error('no leaf')
    await corrupt?.(store, leaf.cid)
    await expect(collect(exportCar(store, cid))).rejects.toMatchObject({ code: 'INTEGRITY', cid: leaf.cid })
  })

  it('repairs what is damaged', async () => {
    const { root, car, blocks } = await carOf(fileAndFew())
    for (const { cid } of blocks) {
      const store = await open()
      await store.add(fileAndFew(), { profile: 'kubo-v1' })
      await corrupt?.(store, cid)
      await importCar(store, car)
      expect(await store.verify(root)).toBeGreaterThan(0)
      expect(sameBytes(await concat(store.cat(root, { path: 'bytes' })), fourLeaves('kubo-v1'))).toBe(true)
      expect(sameBytes(await concat(exportCar(store, root)), car)).toBe(true)
    }
  })
}

function describeCollections({ open }: ContentStoreSetup): void {
  it.for([
    ['in its turns', true],
    ['at the same moment', false],
  ] as const)('that is read while others collect, %s, loses nothing', async ([, inTurn]) => {
    const { root, car, blocks } = await carOf(tree())
    const store = await open()
    // Some of it is there and wanted by nobody: whole files, and loose blocks.
    await store.add(fourLeaves('kubo-v1'), { profile: 'kubo-v1', pin: false })
    for (const { cid, bytes } of blocks.slice(-2)) await store.blocks.put(cid, bytes)
    const collections: Promise<unknown>[] = []
    async function* collecting(): AsyncGenerator<Uint8Array> {
      for (const piece of inPieces(car)) {
        yield piece
        const collection = store.gc()
        collections.push(collection)
        if (inTurn) await collection
      }
    }
    await importCar(store, collecting())
    await Promise.all(collections)
    expect(await store.gc()).toMatchObject({ roots: [], blocks: 0 })
    expect(await store.verify(root)).toBeGreaterThan(0)
    expect(texts((await collect(store.roots())).map(({ cid }) => cid))).toEqual(texts([root]))
  })
}
