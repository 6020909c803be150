import { CarBlockIterator } from '@ipld/car'
import * as dagPb from '@ipld/dag-pb'
import { CID, cidOf, DAG_CBOR, DAG_PB, encodeDagCbor, RAW, writePartialCar, type PartialCarOptions } from '@x/cid'
import * as fc from 'fast-check'
import { UnixFS, type UnixFSType } from 'ipfs-unixfs'
import { identity } from 'multiformats/hashes/identity'
import { describe, expect, it } from 'vitest'

import { Blocks, collect, sampleBytes } from './oracle.ts'

const SEED = 20_251_122

/** A block that is made up, with what the test knows of it. */
interface Made {
  cid: CID
  bytes: Uint8Array
  kind: 'leaf' | 'file' | 'shard' | 'directory' | 'symlink' | 'cbor'
  /** Of the file below it. */
  fileBytes: number
  /** Bytes of a file in the block itself. */
  ownBytes: number
  links: Made[]
}

const unixfs = (
  type: UnixFSType,
  links: readonly Made[],
  { names = [], ...data }: { names?: string[]; data?: Uint8Array } = {},
) => {
  const node = new UnixFS({ type, ...data, ...(type.startsWith('hamt') && { fanout: 16n, hashType: 0x22n }) })
  if (type === 'file') for (const link of links) node.addBlockSize(BigInt(link.fileBytes))
  const Links = links.map(({ cid }, index) => ({ Name: names[index] ?? '', Tsize: 1, Hash: cid }))
  return dagPb.encode({ Data: node.marshal(), Links })
}

const plan = fc.record({
  kind: fc.constantFrom(
    'leaf',
    'leaf',
    'wrapped',
    'inline',
    'file',
    'file',
    'file',
    'shard',
    'directory',
    'symlink',
    'cbor',
  ),
  content: fc.uint8Array({ maxLength: 9 }),
  links: fc.array(fc.nat(), { minLength: 1, maxLength: 5 }),
  version: fc.constantFrom<0 | 1>(0, 1),
})
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never

async function make(plans: readonly Plan[]): Promise<Made[]> {
  const made: Made[] = []
  for (const { kind, content, links, version } of plans) {
    const from = (candidates: Made[]): Made[] =>
      links.flatMap((link) => candidates[link % Math.max(1, candidates.length)] ?? [])
    const node = async (bytes: Uint8Array, rest: Pick<Made, 'kind' | 'links'> & Partial<Made>): Promise<Made> => {
      const cid = await cidOf(rest.kind === 'cbor' ? DAG_CBOR : DAG_PB, bytes)
      return { cid: version === 0 && cid.code === DAG_PB ? cid.toV0() : cid, bytes, fileBytes: 0, ownBytes: 0, ...rest }
    }
    const own = { fileBytes: content.length, ownBytes: content.length }
    if (kind === 'leaf' || kind === 'inline') {
      const cid = kind === 'leaf' ? await cidOf(RAW, content) : CID.createV1(RAW, identity.digest(content))
      made.push({ cid, bytes: content, kind: 'leaf', links: [], ...own })
    } else if (kind === 'wrapped') {
      made.push(await node(unixfs('file', [], { data: content }), { kind: 'leaf', links: [], ...own }))
    } else if (kind === 'file') {
      const below = from(made.filter((one) => one.kind === 'leaf' || one.kind === 'file'))
      // Data beside links, as trickle DAGs have it.
      const fileBytes = below.reduce((sum, one) => sum + one.fileBytes, content.length)
      const bytes = unixfs('file', below, { data: content })
      made.push(await node(bytes, { kind, links: below, ownBytes: content.length, fileBytes }))
    } else if (kind === 'shard') {
      // In the order of their names.
      const below = from(made).toSorted((a, b) => Number(b.kind === 'shard') - Number(a.kind === 'shard'))
      const names = below.map(
        (one, index) => (one.kind === 'shard' ? '0' : '1') + (one.kind === 'shard' ? '' : `n${index}`),
      )
      made.push(await node(unixfs('hamt-sharded-directory', below, { names }), { kind, links: below }))
    } else if (kind === 'directory') {
      const below = from(made)
      made.push(
        await node(unixfs('directory', below, { names: below.map((_one, index) => `n${index}`) }), {
          kind,
          links: below,
        }),
      )
    } else if (kind === 'symlink') {
      made.push(await node(unixfs('symlink', [], { data: Uint8Array.of(97) }), { kind, links: [] }))
    } else {
      const below = from(made)
      const { bytes } = await encodeDagCbor({ links: below.map((one) => one.cid) })
      made.push(await node(bytes, { kind, links: below }))
    }
  }
  return made
}

const isInline = (text: string): boolean => CID.parse(text).multihash.code === identity.code

/** What belongs in the CAR, by the plan alone: for each block of a file, which bytes of the file are below it. */
function expected(root: Made, { scope = 'all', offset = 0, length, duplicates }: PartialCarOptions): string[] {
  const found: string[] = []
  const all = (node: Made): void => {
    found.push(node.cid.toString())
    node.links.forEach(all)
  }
  const inRange = (node: Made, start: number): void => {
    found.push(node.cid.toString())
    let at = start + node.ownBytes
    for (const child of node.links) {
      const bytes = Array.from({ length: child.fileBytes }, (_, index) => at + index)
      if (bytes.some((byte) => byte >= offset && byte < offset + (length ?? Infinity))) inRange(child, at)
      at += child.fileBytes
    }
  }
  const shards = (node: Made): void => {
    found.push(node.cid.toString())
    for (const child of node.links) if (child.kind === 'shard') shards(child)
  }
  if (scope === 'all' || (scope === 'entity' && root.kind === 'file' && offset === 0 && length === undefined)) all(root)
  else if (scope === 'entity' && root.kind === 'file') inRange(root, 0)
  else if (scope === 'entity' && root.kind === 'shard') shards(root)
  else found.push(root.cid.toString())
  const seen = new Set<string>()
  return found.filter((text) => {
    const key = CID.parse(text).toV1().toString()
    const isFirst = !seen.has(key)
    seen.add(key)
    return !isInline(text) && (duplicates || isFirst)
  })
}

/** CIDs in the order of the CAR, by @ipld/car. */
async function written(
  blocks: Blocks,
  root: CID,
  options: PartialCarOptions,
): Promise<{ roots: string[]; cids: string[] }> {
  const iterator = await CarBlockIterator.fromIterable(writePartialCar(blocks.getBlock, root, options))
  const cids: string[] = []
  for await (const { cid, bytes } of iterator) {
    expect((await cidOf(cid.code, bytes)).toV1().toString()).toBe(cid.toV1().toString())
    cids.push(cid.toString())
  }
  return { roots: (await iterator.getRoots()).map(String), cids }
}

const blocksOf = (made: readonly Made[]): Blocks => {
  const blocks = new Blocks()
  for (const one of made) if (one.cid.multihash.code !== identity.code) blocks.add(one)
  return blocks
}

describe('a DAG that is made up', () => {
  it('gives exactly the blocks of its scope and range, in depth-first order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(plan, { minLength: 1, maxLength: 14 }),
        fc.record({
          scope: fc.constantFrom<PartialCarOptions['scope']>('block', 'entity', 'entity', 'entity', 'all'),
          offset: fc.oneof(fc.constant(0), fc.nat({ max: 60 })),
          length: fc.option(fc.nat({ max: 40 }), { nil: undefined }),
          duplicates: fc.boolean(),
        }),
        async (plans, options) => {
          const made = await make(plans)
          const root = made.at(-1)
          fc.pre(root !== undefined)
          const blocks = blocksOf(made)
          const { roots, cids } = await written(blocks, root.cid, options)
          expect(roots).toEqual([root.cid.toString()])
          expect(cids).toEqual(expected(root, options))
          // Nothing else was read, but for nodes that lie at both ends of a range.
          expect(
            blocks.read.every((cid) => cids.some((text) => CID.parse(text).toV1().equals(CID.parse(cid).toV1()))),
          ).toBe(true)
        },
      ),
      { seed: SEED, numRuns: 1000 },
    )
  })
})

async function fileOf(children: readonly Made[]): Promise<Made> {
  const bytes = unixfs('file', children)
  const fileBytes = children.reduce((sum, { fileBytes: size }) => sum + size, 0)
  return { cid: await cidOf(DAG_PB, bytes), bytes, kind: 'file', fileBytes, ownBytes: 0, links: [...children] }
}

async function leafOf(seed: number, byteLength = 10): Promise<Made> {
  const bytes = sampleBytes(seed, byteLength)
  return { cid: await cidOf(RAW, bytes), bytes, kind: 'leaf', fileBytes: byteLength, ownBytes: byteLength, links: [] }
}

describe('writePartialCar', () => {
  it('writes what a range needs of one node at its start, and of the same node at its end', async () => {
    const leaves = [await leafOf(1), await leafOf(2), await leafOf(3)]
    const half = await fileOf(leaves)
    const root = await fileOf([half, half])
    const range = { scope: 'entity', offset: 25, length: 10 } as const
    const [first, , third] = leaves.map(({ cid }) => cid.toString())
    const blocks = blocksOf([...leaves, half, root])
    const { cids } = await written(blocks, root.cid, range)
    expect(cids).toEqual([root.cid.toString(), half.cid.toString(), third, first])
    const twice = await written(blocks, root.cid, { ...range, duplicates: true })
    expect(twice.cids).toEqual([root.cid.toString(), half.cid.toString(), third, half.cid.toString(), first])
  })

  it('puts the blocks of the path first, each once without `duplicates`', async () => {
    const leaf = await leafOf(1)
    const root = await fileOf([leaf, leaf])
    const before = [await leafOf(7), leaf, await leafOf(7)]
    const texts = [...before.slice(0, 2), root].map(({ cid }) => cid.toString())
    expect((await written(blocksOf([leaf, root]), root.cid, { before })).cids).toEqual(texts)
    const all = [...before, root, leaf, leaf].map(({ cid }) => cid.toString())
    expect((await written(blocksOf([leaf, root]), root.cid, { before, duplicates: true })).cids).toEqual(all)
  })

  it('writes the root alone of a range past the end, and of one without bytes', async () => {
    const leaf = await leafOf(1)
    const root = await fileOf([leaf, leaf])
    for (const range of [{ offset: 20 }, { offset: 5, length: 0 }]) {
      const { cids } = await written(blocksOf([leaf, root]), root.cid, { scope: 'entity', ...range })
      expect(cids).toEqual([root.cid.toString()])
    }
  })

  it('writes the block that contradicts its parent, and then fails', async () => {
    const leaf = await leafOf(1)
    const inner = await fileOf([leaf])
    const root = await fileOf([{ ...inner, fileBytes: 99 }])
    const blocks = blocksOf([leaf, inner, root])
    const pieces: Uint8Array[] = []
    const reading = (async () => {
      for await (const piece of writePartialCar(blocks.getBlock, root.cid, { scope: 'entity' })) pieces.push(piece)
    })()
    await expect(reading).rejects.toMatchObject({ code: 'INVALID_INPUT', input: inner.cid.toString() })
    expect(pieces).toHaveLength(3)
  })

  it('does not visit the same below again and again without `duplicates`', async () => {
    // 2^30 leaves. With more, ipfs-unixfs 13.1.1 writes a wrong size: it cannot write numbers from 2^31 to 2^32.
    let node = await leafOf(1, 1)
    const made = [node]
    for (let level = 0; level < 30; level++) made.push((node = await fileOf([node, node])))
    const blocks = blocksOf(made)
    for (const range of [{}, { offset: 3 }, { offset: 3, length: 2 ** 29 }]) {
      blocks.read.length = 0
      const { cids } = await written(blocks, node.cid, { scope: 'entity', ...range })
      expect([range, cids.length]).toEqual([range, 31])
      expect(blocks.read.length).toBeLessThan(100)
    }
  })

  it('takes what is no UnixFS for an entity of one block', async () => {
    const leaf = await leafOf(1)
    const plain = dagPb.encode({ Links: [{ Hash: leaf.cid }] })
    const foreign = new TextEncoder().encode('{}')
    const blocks = new Blocks()
    for (const [codec, bytes] of [
      [DAG_PB, plain],
      [0x0129, foreign],
    ] as const) {
      const cid = await cidOf(codec, bytes)
      blocks.add({ cid, bytes })
      expect((await written(blocks, cid, { scope: 'entity', offset: 1 })).cids).toEqual([cid.toString()])
    }
    const cid = await cidOf(0x0129, foreign)
    await expect(collect(writePartialCar(blocks.getBlock, cid))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })

  it('counts its bytes, stops for the signal, and refuses half a byte', async () => {
    const leaf = await leafOf(1)
    const root = await fileOf([leaf])
    const blocks = blocksOf([leaf, root])
    let last = 0
    const bytes = Buffer.concat(
      await collect(writePartialCar(blocks.getBlock, root.cid, { onProgress: (n) => (last = n) })),
    )
    expect(last).toBe(bytes.length)
    const reason = new Error('the caller gave up')
    const stopped = writePartialCar(blocks.getBlock, root.cid, { signal: AbortSignal.abort(reason) })
    await expect(stopped.next()).rejects.toBe(reason)
    await expect(writePartialCar(blocks.getBlock, root.cid, { offset: 0.5 }).next()).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    })
  })
})
