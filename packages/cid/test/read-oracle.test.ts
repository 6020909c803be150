import {
  CID,
  buildDirectory,
  buildFile,
  cidOf,
  DAG_PB,
  encodeSymlink,
  profileOf,
  readDirectory,
  readFile,
  resolvePath,
  walkDag,
  type ProfileName,
} from '@x/cid'
import * as fc from 'fast-check'
import { exporter } from 'ipfs-unixfs-exporter'
import { describe, expect, it } from 'vitest'

import { Blocks, collect, concat, PROFILE_NAMES, sampleBytes } from './oracle.ts'

const SEED = 20_251_121

interface HeldFile {
  cid: CID
  bytes: Uint8Array
  blocks: Blocks
}

async function fileOf(profile: ProfileName, byteLength: number): Promise<HeldFile> {
  const blocks = new Blocks()
  const bytes = sampleBytes(byteLength, byteLength)
  const { cid } = await buildFile([bytes], { profile, onBlock: blocks.add })
  return { cid, bytes, blocks }
}

/** What `ipfs-unixfs-exporter` reads. */
async function readWithReference({ cid, blocks }: HeldFile, offset: number, length: number): Promise<Buffer> {
  const entry = await exporter(cid, blocks)
  if (entry.type !== 'file' && entry.type !== 'raw') throw new Error(`it is a ${entry.type}`)
  return concat(toAsync(entry.content({ offset, length })))
}

async function* toAsync<T>(items: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T> {
  yield* items
}

describe.each(PROFILE_NAMES)('readFile under %s', (profile) => {
  it('gives any range, as the bytes and ipfs-unixfs-exporter have it', async () => {
    const { chunkBytes } = profileOf(profile)
    const file = await fileOf(profile, 4 * chunkBytes + 11)
    const size = file.bytes.length
    const position = fc.oneof(
      fc.integer({ min: 0, max: size + 5 }),
      fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: -2, max: 2 })).map(([leaf, step]) => {
        return Math.max(0, leaf * chunkBytes + step)
      }),
    )
    await fc.assert(
      fc.asyncProperty(position, position, async (offset, length) => {
        const expected = Buffer.from(file.bytes.subarray(offset, offset + length))
        const read = await concat(readFile(file.blocks.getBlock, file.cid, { offset, length }))
        expect(read.equals(expected)).toBe(true)
        if (offset > size) return
        expect(read.equals(await readWithReference(file, offset, length))).toBe(true)
      }),
      { seed: SEED, numRuns: 60 },
    )
  })

  it('reads no leaf that the range does not touch', async () => {
    const { chunkBytes } = profileOf(profile)
    const { cid, blocks } = await fileOf(profile, 8 * chunkBytes)
    const leavesFor = async (offset: number, length: number): Promise<number> => {
      blocks.read.length = 0
      await concat(readFile(blocks.getBlock, cid, { offset, length }))
      return blocks.read.filter((read) => read !== cid.toString()).length
    }
    expect(await leavesFor(chunkBytes, chunkBytes)).toBe(1)
    expect(await leavesFor(chunkBytes - 1, 2)).toBe(2)
    expect(await leavesFor(3 * chunkBytes, 0)).toBe(0)
    expect(await leavesFor(8 * chunkBytes, 1)).toBe(0)
    expect(await leavesFor(0, 8 * chunkBytes)).toBe(8)
  })

  it('reads a leaf only when the consumer comes to it', async () => {
    const { chunkBytes } = profileOf(profile)
    const { cid, blocks } = await fileOf(profile, 8 * chunkBytes)
    const pieces = readFile(blocks.getBlock, cid)
    await pieces.next()
    for (let turn = 0; turn < 100; turn++) await Promise.resolve()
    expect(blocks.read.length).toBe(2)
    await pieces.return(undefined)
  })

  it('refuses ranges that are none', async () => {
    const { cid, blocks } = await fileOf(profile, 10)
    for (const bad of [-1, 1.5, NaN, Infinity, 2 ** 53]) {
      const invalid = { code: 'INVALID_INPUT' }
      await expect(concat(readFile(blocks.getBlock, cid, { offset: bad }))).rejects.toMatchObject(invalid)
      await expect(concat(readFile(blocks.getBlock, cid, { length: bad }))).rejects.toMatchObject(invalid)
    }
    expect((await concat(readFile(blocks.getBlock, cid, { offset: 2 ** 53 - 1, length: 2 ** 53 - 1 }))).length).toBe(0)
  })

  it('stops with signal.reason', async () => {
    const { cid, blocks } = await fileOf(profile, 3 * profileOf(profile).chunkBytes)
    const caller = new AbortController()
    const reason = new Error('the caller gave up')
    const pieces = readFile(blocks.getBlock, cid, { signal: caller.signal })
    await pieces.next()
    caller.abort(reason)
    await expect(pieces.next()).rejects.toBe(reason)
  })
})

// The profile with 1024 links of 1 MiB has two levels from 1 GiB on.
describe.each(['unixfs-v0-2015', 'kubo-v1'] as const)('readFile under %s', (profile) => {
  it('reads a file of two levels', async () => {
    const file = await fileOf(profile, 175 * profileOf(profile).chunkBytes + 3)
    for (const [offset, length] of [
      [174 * 262_144 - 2, 5],
      [175 * 262_144 - 1, 10],
      [0, 3],
    ] as const) {
      const read = await concat(readFile(file.blocks.getBlock, file.cid, { offset, length }))
      expect(read.equals(file.bytes.subarray(offset, offset + length))).toBe(true)
    }
    expect((await concat(readFile(file.blocks.getBlock, file.cid))).equals(file.bytes)).toBe(true)
  })
})

describe.each(PROFILE_NAMES)('directories under %s', (profile) => {
  const MANY = 5500
  const manyNames = Array.from({ length: MANY }, (_, index) => `entry ☃ ${index}`)

  async function directoryOf(names: readonly string[]): Promise<{ cid: CID; file: CID; blocks: Blocks }> {
    const blocks = new Blocks()
    const file = await buildFile([sampleBytes(1, 10)], { profile, onBlock: blocks.add })
    const links = names.map((name) => ({ name, ...file }))
    const { cid } = await buildDirectory(links, { profile, onBlock: blocks.add })
    return { cid, file: file.cid, blocks }
  }

  it.each([
    ['no', []],
    ['some', ['b', 'a', 'ünï', '🐈']],
    ['sharded', manyNames],
  ])('of %s entries are read back, as ipfs-unixfs-exporter does', async (_name, names: string[]) => {
    const { cid, file, blocks } = await directoryOf(names)
    const entries = await collect(readDirectory(blocks.getBlock, cid))
    expect(entries.map(({ name }) => name).toSorted()).toEqual(names.toSorted())
    expect(entries.every((entry) => entry.cid.equals(file))).toBe(true)
    const reference = await exporter(cid, blocks)
    if (reference.type !== 'directory') throw new Error(`it is a ${reference.type}`)
    const listed = await collect(toAsync(reference.entries()))
    expect(entries.map(({ name }) => name)).toEqual(listed.map(({ name }) => name))
  })

  it('are found by path, plain and sharded', async () => {
    const blocks = new Blocks()
    const file = await buildFile([sampleBytes(2, 20)], { profile, onBlock: blocks.add })
    const link = await encodeSymlink(profileOf(profile).cidVersion, 'elsewhere')
    blocks.add(link)
    const sharded = await buildDirectory(
      manyNames.map((name) => ({ name, ...file })),
      { profile, onBlock: blocks.add },
    )
    const entries = [
      { name: 'many', ...sharded },
      { name: 'link', cid: link.cid, dagBytes: link.bytes.length },
    ]
    const { cid } = await buildDirectory(entries, { profile, onBlock: blocks.add })
    const find = async (path: string): Promise<string | undefined> =>
      (await resolvePath(blocks.getBlock, cid, path))?.toString()
    expect(await find('')).toBe(cid.toString())
    expect(await find('/')).toBe(cid.toString())
    expect(await find('many')).toBe(sharded.cid.toString())
    expect(await find('//many//entry ☃ 4999/')).toBe(file.cid.toString())
    expect(await find('link')).toBe(link.cid.toString())
    expect(await find('many/entry ☃ 5500')).toBeUndefined()
    expect(await find('no/entry')).toBeUndefined()
    for (const path of ['..', 'many/../link', 'many/.', 'a\0', 'link/below', 'many/entry ☃ 1/below']) {
      await expect(find(path)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    }
  })

  it('are walked: every block once, parents first, raw leaves unread', async () => {
    const blocks = new Blocks()
    const file = await buildFile([sampleBytes(3, 3_000_000)], { profile, onBlock: blocks.add })
    const small = await buildFile([sampleBytes(4, 5)], { profile, onBlock: blocks.add })
    const names = manyNames.map((name, index) => ({ name, ...(index % 2 ? file : small) }))
    const { cid } = await buildDirectory(names, { profile, onBlock: blocks.add })
    blocks.read.length = 0
    const walked = await collect(walkDag(blocks.getBlock, cid))
    expect(walked[0]).toEqual(cid)
    expect(walked.map((found) => found.toV1().toString()).toSorted()).toEqual([...blocks.held.keys()].toSorted())
    expect(blocks.read.length).toBe(walked.filter(({ code }) => code === DAG_PB).length)
  })
})

describe('walkDag', () => {
  it('takes CIDv0 and its CIDv1 twin for one block', async () => {
    const blocks = new Blocks()
    const profile = 'unixfs-v0-2015'
    const file = await buildFile([sampleBytes(3, 300_000)], { profile, onBlock: blocks.add })
    const links = [
      { name: 'a', ...file },
      { name: 'b', ...file, cid: file.cid.toV1() },
    ]
    const { cid } = await buildDirectory(links, { profile, onBlock: blocks.add })
    const walked = await collect(walkDag(blocks.getBlock, cid))
    expect(walked.length).toBe(blocks.held.size)
  })

  it('sees what an inline node links to', async () => {
    const blocks = new Blocks()
    const bytes = sampleBytes(5, 10)
    const file = await buildFile([bytes], { onBlock: blocks.add })
    const directory = new Blocks()
    await buildDirectory([{ name: 'a', ...file }], { onBlock: directory.add })
    const [node] = [...directory.held.values()]
    if (!node) throw new Error('no directory')
    const inline = CID.decode(Uint8Array.of(1, DAG_PB, 0, node.length, ...node))
    const walked = await collect(walkDag(blocks.getBlock, inline))
    expect(walked.map(String)).toEqual([(await cidOf(file.cid.code, bytes)).toString()])
  })

  it('stops with signal.reason', async () => {
    const reason = new Error('the caller gave up')
    const { cid, blocks } = await fileOf('kubo-v1', 1_000_000)
    await expect(collect(walkDag(blocks.getBlock, cid, { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason)
  })
})
