import { createHash } from 'node:crypto'

import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { CID, cidOf, RAW, type Block } from '@x/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import { describe, expect, it } from 'vitest'

import { writeCar } from '../src/car-writer.ts'
import { carOf, namesOf, readAll, shown, v2Of } from './car-bytes.ts'
import { Blocks, concat, inPieces } from './oracle.ts'

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

async function raw(value: string): Promise<Block> {
  return { cid: await cidOf(RAW, text(value)), bytes: text(value) }
}

/** A dag-pb block without data, which UnixFS does not know, under a CIDv0. */
async function pb(links: readonly { name: string; to: Block; size: number }[]): Promise<Block> {
  const Links = links.map(({ name, to, size }) => ({ Name: name, Tsize: size, Hash: to.cid }))
  const bytes = dagPb.encode({ Links })
  return { cid: CID.createV0(await sha256.digest(bytes)), bytes }
}

async function cbor(value: unknown): Promise<Block> {
  const bytes = dagCbor.encode(value)
  return { cid: CID.createV1(dagCbor.code, await sha256.digest(bytes)), bytes }
}

/** The blocks of https://ipld.io/specs/transport/car/fixture/carv1-basic/ in the order of that file. */
async function basicV1(): Promise<Block[]> {
  const [a, b, c] = [await raw('aaaa'), await raw('bbbb'), await raw('cccc')]
  const first = await pb([{ name: 'cat', to: a, size: 4 }])
  const second = await pb([
    { name: 'dog', to: b, size: 4 },
    { name: 'first', to: first, size: 51 },
  ])
  const third = await pb([
    { name: 'bear', to: c, size: 4 },
    { name: 'second', to: second, size: 149 },
  ])
  const [blip, limbo] = [await cbor({ name: 'blip', link: third.cid }), await cbor({ name: 'limbo', link: null })]
  return [a, b, c, first, second, third, blip, limbo]
}

const BLIP = 'bafyreihyrpefhacm6kkp4ql6j6udakdit7g3dmkzfriqfykhjw6cad5lrm'
const LIMBO = 'bafyreidj5idub6mapiupjwjsyyxhyhedxycv4vihfsicm2vt46o7morwlm'

describe('the fixture carv1-basic of the specification', () => {
  it('is read', async () => {
    const blocks = await basicV1()
    const car = carOf([CID.parse(BLIP), CID.parse(LIMBO)], blocks)
    // Of the published file.
    expect([car.length, hashOf(car)]).toEqual([715, 'c573a5815899f376ff3a138cbc7e7951f3cfe141165f36e412d7c32f7186d4f1'])
    const read = await readAll(car)
    expect([read.version, read.roots.map(String)]).toEqual([1, [BLIP, LIMBO]])
    expect(shown(read.blocks)).toEqual(shown(blocks))
  })

  it('is written in the order of go-car', async () => {
    const blocks = new Blocks()
    for (const block of await basicV1()) blocks.add(block)
    const car = await concat(writeCar(blocks.getBlock, CID.parse(BLIP)))
    // The lengths of its sections as go-car's index of the same DAG has them.
    const lengths = [92, 133, 41, 130, 41, 82, 41]
    expect(namesOf((await readAll(car)).blocks)).toEqual([
      BLIP,
      'QmNX6Tffavsya4xgBi2VJQnSuqy9GsxongxZZ9uZBqp16d',
      'bafkreifw7plhl6mofk6sfvhnfh64qmkq73oeqwl6sloru6rehaoujituke',
      'QmWXZxVQ9yZfhQxLD35eDR8LiMRsYtHxYqTFCBbJoiJVys',
      'bafkreiebzrnroamgos2adnbpgw5apo3z4iishhbdx77gldnbk57d4zdio4',
      'QmdwjhxpxzcMsR3qUuj7vUL8pbA7MgR3GAxWi2GLHjsKCT',
      'bafkreidbxzk2ryxwwtqxem4l3xyyjvw35yu4tcct4cqeqxwo47zhxgxqwq',
    ])
    // A header with one root is 41 bytes shorter than the one with two.
    expect(car.length).toBe(100 - 41 + lengths.reduce((sum, length) => sum + length))
  })
})

/** https://ipld.io/specs/transport/car/fixture/carv2-basic/ */
async function basicV2(): Promise<{ blocks: Block[]; data: Buffer }> {
  const [fish, lobster] = [await raw('fish'), await raw('lobster')]
  const monger = await pb([{ name: 'fishmonger', to: fish, size: 4 }])
  const eye = await pb([
    { name: 'barreleye', to: monger, size: 58 },
    { name: '🐡', to: lobster, size: 7 },
  ])
  const root = await pb([{ name: '🍤', to: eye, size: 164 }])
  const blocks = [root, eye, monger, fish, lobster]
  return { blocks, data: carOf([root.cid], blocks) }
}

describe('the fixture carv2-basic of the specification', () => {
  const NAMES = [
    'QmfEoLyB5NndqeKieExd1rtJzTduQUPEV8TwAYcUiy3H5Z',
    'QmczfirA7VEH7YVvKPTPoU69XM3qY4DC39nnTsWd4K3SkM',
    'Qmcpz2FHJD7VAhg1fxFXdYJKePtkx1BsHuCrAgWVnaHMTE',
    'bafkreifuosuzujyf4i6psbneqtwg2fhplc2wxptc5euspa2gn3bwhnihfu',
    'bafkreifc4hca3inognou377hfhvu2xfchn2ltzi7yu27jkaeujqqqdbjju',
  ]

  it.each([1, 2, 7, 51, 1000])('is read in pieces of %d bytes', async (size) => {
    const { blocks, data } = await basicV2()
    // Its header says: data of 448 bytes at 51, the index at 499.
    expect([data.length, hashOf(data)]).toEqual([
      448,
      '14b3a143890753d227c3ea1f70f44ffbd7da36ea8b43612fdeeee5942e69ff54',
    ])
    const car = v2Of(data, { index: new Uint8Array(216).fill(0xee), indexOffset: 499n })
    const read = await readAll(inPieces(car, [size]))
    expect([read.version, read.roots.map(String)]).toEqual([2, [NAMES[0]]])
    expect(namesOf(read.blocks)).toEqual(NAMES)
    expect(shown(read.blocks)).toEqual(shown(blocks))
  })

  it('is what we write for its root, without the wrapping', async () => {
    const { blocks, data } = await basicV2()
    const held = new Blocks()
    for (const block of blocks) held.add(block)
    expect((await concat(writeCar(held.getBlock, CID.parse(NAMES[0] ?? '')))).equals(data)).toBe(true)
  })
})

describe('a CARv2', () => {
  it.each([0, 1, 100_000])('with %d bytes of padding before its data', async (padding) => {
    const block = await raw('padded')
    const car = v2Of(carOf([block.cid], [block]), { padding, index: text('an index') })
    expect(shown((await readAll(inPieces(car, [999]))).blocks)).toEqual(shown([block]))
  })

  it('without a block', async () => {
    expect(await readAll(v2Of(carOf([], [])))).toEqual({ version: 2, roots: [], blocks: [] })
  })

  it('whose index is cut off or says nothing', async () => {
    const block = await raw('indexed')
    const car = v2Of(carOf([block.cid], [block]), { indexOffset: 2n ** 63n })
    expect(shown((await readAll(car)).blocks)).toEqual(shown([block]))
  })

  it('with any characteristics', async () => {
    const block = await raw('fully indexed')
    const car = v2Of(carOf([block.cid], [block]))
    car.fill(0xff, 11, 27)
    expect(shown((await readAll(car)).blocks)).toEqual(shown([block]))
  })
})
