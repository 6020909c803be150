import { CarBlockIterator, CarWriter } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import {
  buildDirectory,
  buildFile,
  buildOutboard,
  CID,
  cidOf,
  DAG_CBOR,
  DAG_PB,
  outboardBlocks,
  RAW,
  readFile,
  walkDag,
  type Block,
  type NodeLink,
  type ProfileName,
} from '@x/cid'
import * as fc from 'fast-check'
import { identity } from 'multiformats/hashes/identity'
import { describe, expect, it } from 'vitest'

import { linksOf } from '../src/car-links.ts'
import { readCar } from '../src/car-reader.ts'
import { writeCar } from '../src/car-writer.ts'
import { carOf, namesOf, readAll, shown } from './car-bytes.ts'
import { Blocks, collect, concat, inPieces, PROFILE_NAMES, sampleBytes } from './oracle.ts'

const SEED = 20_251_121

const inline = (codec: number, bytes: Uint8Array): CID => CID.createV1(codec, identity.digest(bytes))

async function held(blocks: Blocks, codec: number, bytes: Uint8Array): Promise<CID> {
  const cid = await cidOf(codec, bytes)
  blocks.add({ cid, bytes })
  return cid
}

const pbNode = (links: readonly CID[], data?: Uint8Array): Uint8Array =>
  dagPb.encode({ ...(data && { Data: data }), Links: links.map((Hash) => ({ Hash })) })

/** What @ipld/car reads. */
async function readWithReference(car: Iterable<Uint8Array>): Promise<{ roots: string[]; blocks: Block[] }> {
  const iterator = await CarBlockIterator.fromIterable(toAsync(car))
  const blocks: Block[] = []
  for await (const { cid, bytes } of iterator) blocks.push({ cid: CID.decode(cid.bytes), bytes })
  return { roots: (await iterator.getRoots()).map(String), blocks }
}

/** What @ipld/car writes. */
async function writeWithReference(roots: readonly CID[], blocks: readonly Block[]): Promise<Buffer> {
  const { writer, out } = CarWriter.create([...roots])
  const written = concat(out)
  for (const block of blocks) await writer.put(block)
  await writer.close()
  return written
}

async function* toAsync<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items
}

/** A node of a DAG that is made up: what it links to are nodes before it. */
const planned = fc.record({
  kind: fc.constantFrom('raw', 'dag-pb', 'dag-cbor', 'inline'),
  version: fc.constantFrom<0 | 1>(0, 1),
  content: fc.uint8Array({ maxLength: 12 }),
  links: fc.array(fc.nat(), { maxLength: 6 }),
})

interface Made {
  cid: CID
  bytes: Uint8Array
  links: Made[]
}

async function make(plans: readonly (typeof planned extends fc.Arbitrary<infer T> ? T : never)[]): Promise<Made[]> {
  const made: Made[] = []
  for (const { kind, version, content, links } of plans) {
    const below = links.flatMap((link) => made[link % Math.max(made.length, 1)] ?? [])
    const cids = below.map((node) => node.cid)
    if (kind === 'raw') made.push({ cid: await cidOf(RAW, content), bytes: content, links: [] })
    else if (kind === 'dag-pb') {
      const bytes = pbNode(cids, content)
      const cid = await cidOf(DAG_PB, bytes)
      made.push({ cid: version === 0 ? cid.toV0() : cid, bytes, links: below })
    } else {
      const bytes = dagCbor.encode([content, { a: cids.slice(0, 2), b: [{}, cids.slice(2)] }])
      if (kind === 'dag-cbor') made.push({ cid: await cidOf(DAG_CBOR, bytes), bytes, links: below })
      // A nest of them grows with every level.
      else if (bytes.length < 100) made.push({ cid: inline(DAG_CBOR, bytes), bytes, links: below })
    }
  }
  return made
}

/** Root first, depth first, each block once: by the plan, not by what the blocks say. */
function inOrder(root: Made): Made[] {
  const seen = new Set<string>()
  const order: Made[] = []
  const visit = (node: Made): void => {
    const key = node.cid.toV1().toString()
    if (seen.has(key)) return
    seen.add(key)
    if (node.cid.multihash.code !== identity.code) order.push(node)
    node.links.forEach(visit)
  }
  visit(root)
  return order
}

const pieceSizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 4 })

describe('a DAG that is made up', () => {
  it('is written root first and depth-first, and read back, by us and by @ipld/car', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(planned, { minLength: 1, maxLength: 25 }), pieceSizes, async (plans, sizes) => {
        const made = await make(plans)
        const root = made.at(-1)
        fc.pre(root !== undefined)
        const blocks = new Blocks()
        for (const node of made) if (node.cid.multihash.code !== identity.code) blocks.add(node)
        const expected = inOrder(root).map(({ cid, bytes }) => ({ cid, bytes }))

        const car = await concat(writeCar(blocks.getBlock, root.cid))
        expect(car.equals(carOf([root.cid], expected))).toBe(true)
        const read = await readAll(inPieces(car, sizes))
        expect([read.version, read.roots.map(String)]).toEqual([1, [root.cid.toString()]])
        expect(shown(read.blocks)).toEqual(shown(expected))
        const reference = await readWithReference(inPieces(car, sizes))
        expect([reference.roots, shown(reference.blocks)]).toEqual([[root.cid.toString()], shown(expected)])
      }),
      { seed: SEED, numRuns: 150 },
    )
  })

  it('is read from what @ipld/car writes, with any roots, in any order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(planned, { maxLength: 15 }),
        fc.array(fc.nat(), { maxLength: 5 }),
        pieceSizes,
        async (plans, chosen, sizes) => {
          // Inline blocks too, and any of them twice.
          const blocks: Block[] = (await make([...plans, ...plans])).map(({ cid, bytes }) => ({ cid, bytes }))
          const roots = chosen.flatMap((index) => blocks[index % Math.max(blocks.length, 1)]?.cid ?? [])
          const read = await readAll(inPieces(await writeWithReference(roots, blocks), sizes))
          expect(read.roots.map(String)).toEqual(roots.map(String))
          expect(shown(read.blocks)).toEqual(shown(blocks))
        },
      ),
      { seed: SEED, numRuns: 100 },
    )
  })
})

describe('writeCar', () => {
  it('follows each inline block, writes none', async () => {
    const blocks = new Blocks()
    const leaf = await held(blocks, RAW, Uint8Array.of(1, 2, 3))
    const inner = inline(DAG_CBOR, dagCbor.encode([leaf]))
    const root = inline(DAG_PB, pbNode([inner, inline(RAW, Uint8Array.of(9))]))
    const { roots, blocks: written } = await readAll(await concat(writeCar(blocks.getBlock, root)))
    expect([roots.map(String), namesOf(written)]).toEqual([[root.toString()], [leaf.toString()]])
  })

  it('writes one block under two codecs twice, for they link to different blocks', async () => {
    const blocks = new Blocks()
    const leaf = await held(blocks, RAW, Uint8Array.of(1))
    const node = pbNode([leaf])
    const [asRaw, asNode] = [await held(blocks, RAW, node), await held(blocks, DAG_PB, node)]
    const root = await held(blocks, DAG_CBOR, dagCbor.encode([asRaw, asNode, asNode.toV0()]))
    const car = await readAll(await concat(writeCar(blocks.getBlock, root)))
    expect(namesOf(car.blocks)).toEqual([root, asRaw, asNode, leaf].map(String))
  })

  it('writes a block at every place with `duplicates`', async () => {
    const blocks = new Blocks()
    const leaf = await held(blocks, RAW, Uint8Array.of(1))
    const node = await held(blocks, DAG_PB, pbNode([leaf, leaf]))
    const root = await held(blocks, DAG_CBOR, dagCbor.encode([node, leaf, node]))
    const car = await readAll(await concat(writeCar(blocks.getBlock, root, { duplicates: true })))
    expect(namesOf(car.blocks)).toEqual([root, node, leaf, leaf, leaf, node, leaf, leaf].map(String))
  })

  it('follows the keys of dag-cbor in the order of the block', async () => {
    const blocks = new Blocks()
    const [a, ten, proto] = [
      await held(blocks, RAW, Uint8Array.of(1)),
      await held(blocks, RAW, Uint8Array.of(2)),
      await held(blocks, RAW, Uint8Array.of(3)),
    ]
    const map = new Map<string, unknown>([
      ['10', ten],
      ['a', { deep: [1, -1, 2.5, 2 ** 40, 'text', true, null, a] }],
      ['__proto__', proto],
    ])
    const root = await held(blocks, DAG_CBOR, dagCbor.encode(map))
    const car = await readAll(await concat(writeCar(blocks.getBlock, root)))
    expect(namesOf(car.blocks)).toEqual([root, a, ten, proto].map(String))
  })

  it('yields nothing when the root is not there', async () => {
    const missing = await cidOf(RAW, Uint8Array.of(1))
    await expect(writeCar(new Blocks().getBlock, missing).next()).rejects.toThrow(`not held: ${missing}`)
  })

  it('fails with the error of the store at a missing block, after all before it', async () => {
    const blocks = new Blocks()
    const [there, missing] = [await held(blocks, RAW, Uint8Array.of(1)), await cidOf(RAW, Uint8Array.of(2))]
    const root = await held(blocks, DAG_PB, pbNode([there, missing, there]))
    const pieces: Uint8Array[] = []
    await expect(
      (async () => {
        for await (const piece of writeCar(blocks.getBlock, root)) pieces.push(piece)
      })(),
    ).rejects.toThrow(`not held: ${missing}`)
    expect(namesOf((await readAll(pieces)).blocks)).toEqual([root, there].map(String))
  })

  it('refuses a codec whose links are not known, before it reads the block', async () => {
    const blocks = new Blocks()
    const foreign = await held(blocks, 0x0129, new TextEncoder().encode('{}'))
    const root = await held(blocks, DAG_PB, pbNode([foreign]))
    const failed = await collect(writeCar(blocks.getBlock, root)).catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining(`${foreign}`) })
    expect(blocks.read).toEqual([root.toString()])
  })

  it.each([
    ['dag-pb', DAG_PB, [0xff]],
    ['dag-cbor, cut short', DAG_CBOR, [0x82, 0x01]],
    ['dag-cbor with more behind it', DAG_CBOR, [0x80, 0x80]],
    ['dag-cbor of indefinite length', DAG_CBOR, [0x9f, 0xff]],
    ['dag-cbor with a string of 2^63 bytes', DAG_CBOR, [0x5b, 0x7f, 255, 255, 255, 255, 255, 255, 255]],
    ['dag-cbor with a list of 2^64 items', DAG_CBOR, [0x9b, 255, 255, 255, 255, 255, 255, 255, 255]],
    ['dag-cbor with a link that is a number', DAG_CBOR, [0xd8, 42, 1]],
    ['dag-cbor with a link that is no CID', DAG_CBOR, [0xd8, 42, 0x42, 0, 7]],
    ['dag-cbor with a link without its zero', DAG_CBOR, [0xd8, 42, 0x44, 1, 0x55, 0, 0]],
    ['dag-cbor with another tag', DAG_CBOR, [0xc1, 1]],
    ['an empty dag-cbor', DAG_CBOR, []],
  ])('refuses what is not %s', async (_name, codec, bytes) => {
    const blocks = new Blocks()
    const cid = await held(blocks, codec, Uint8Array.from(bytes))
    await expect(collect(writeCar(blocks.getBlock, cid))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      input: cid.toString(),
    })
  })

  it('follows a nest as deep as its block is long', async () => {
    const blocks = new Blocks()
    const leaf = await held(blocks, RAW, Uint8Array.of(1))
    const nest = Buffer.concat([Buffer.alloc(1_000_000, 0x81), dagCbor.encode(leaf)])
    const root = await held(blocks, DAG_CBOR, nest)
    expect(namesOf((await readAll(await concat(writeCar(blocks.getBlock, root)))).blocks)).toEqual(
      [root, leaf].map(String),
    )
  })
})

it('the links of dag-cbor are those that its decoder finds', async () => {
  const value = fc.letrec((tie) => ({
    link: fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => inline(RAW, bytes)),
    leaf: fc.oneof(
      tie('link'),
      fc.string(),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.uint8Array(),
      fc.boolean(),
      fc.constant(null),
    ),
    any: fc.oneof(
      { maxDepth: 4 },
      tie('leaf'),
      fc.array(tie('any')),
      fc.dictionary(fc.string(), tie('any'), { noNullPrototype: true }),
    ),
  })).any
  const found = (node: unknown): string[] => {
    const cid = CID.asCID(node)
    if (cid) return [cid.toString()]
    if (typeof node !== 'object' || node === null || node instanceof Uint8Array) return []
    return Object.values(node).flatMap(found)
  }
  await fc.assert(
    fc.asyncProperty(value, async (node) => {
      const bytes = dagCbor.encode(node)
      const links = linksOf(await cidOf(DAG_CBOR, bytes), bytes)
      expect(links.map(String).toSorted()).toEqual(found(dagCbor.decode(bytes)).toSorted())
    }),
    { seed: SEED, numRuns: 300 },
  )
})

describe.each(PROFILE_NAMES)('under %s', (profile) => {
  it('a directory of files survives as a CAR', async () => {
    const blocks = new Blocks()
    const entries: NodeLink[] = []
    for (const [index, size] of [0, 1, 300_000, 5_300_000].entries()) {
      const { cid, dagBytes } = await buildFile([sampleBytes(index, size)], { profile, onBlock: blocks.add })
      entries.push({ name: `file ${index}`, cid, dagBytes })
    }
    const nested = await buildDirectory(entries, { profile, onBlock: blocks.add })
    const { cid } = await buildDirectory([...entries, { name: 'nested', ...nested }], { profile, onBlock: blocks.add })
    expect(await survives(blocks, cid)).toBeGreaterThan(4)
  })
})

it('a sharded directory of 6000 entries survives as a CAR', async () => {
  const blocks = new Blocks()
  const entries: NodeLink[] = []
  for (let index = 0; index < 6000; index++) {
    const name = `a name of some length for entry ${index}`
    entries.push({ name, cid: await held(blocks, RAW, new TextEncoder().encode(name)), dagBytes: name.length })
  }
  const { cid } = await buildDirectory(entries, { onBlock: blocks.add })
  expect(await survives(blocks, cid)).toBeGreaterThan(6100)
})

/** @returns Number of blocks. */
async function survives(blocks: Blocks, root: CID): Promise<number> {
  const car = await concat(writeCar(blocks.getBlock, root))
  const { roots, blocks: read } = await readAll(inPieces(car, [65_536, 1, 17]))
  expect(roots.map(String)).toEqual([root.toString()])
  expect(namesOf(read)).toEqual((await collect(walkDag(blocks.getBlock, root))).map(String))
  const reference = await readWithReference([car])
  expect(namesOf(read)).toEqual(namesOf(reference.blocks))
  expect(read.every(({ bytes }, index) => Buffer.from(bytes).equals(reference.blocks[index]?.bytes ?? bytes))).toBe(
    true,
  )
  return read.length
}

it.each<ProfileName>(['unixfs-v1-2025', 'unixfs-v0-2015'])(
  'a whole file and its outboard make the CAR that its blocks make, under %s',
  async (profile) => {
    const bytes = sampleBytes(5, 3_200_001)
    const blocks = new Blocks()
    const { outboard } = await buildOutboard([bytes], { profile, onBlock: blocks.add })
    const read = async (offset: number, length: number): Promise<Uint8Array> => bytes.subarray(offset, offset + length)
    const car = await concat(writeCar(outboardBlocks(outboard, read), outboard.root))
    expect(car.equals(await concat(writeCar(blocks.getBlock, outboard.root)))).toBe(true)

    const arrived = new Blocks()
    for await (const block of (await readCar([car])).blocks) arrived.add(block)
    expect((await concat(readFile(arrived.getBlock, outboard.root))).equals(bytes)).toBe(true)
  },
)

it('a CIDv0 stays one', async () => {
  const blocks = new Blocks()
  const root = (await held(blocks, DAG_PB, pbNode([], Uint8Array.of(1)))).toV0()
  const car = await readAll(await concat(writeCar(blocks.getBlock, root)))
  expect([car.roots[0]?.version, car.blocks[0]?.cid.version]).toEqual([0, 0])
})
