import * as dagPb from '@ipld/dag-pb'
import {
  buildFile,
  CID,
  cidOf,
  DAG_CBOR,
  DAG_PB,
  decodeNode,
  encodeSymlink,
  RAW,
  readDirectory,
  readFile,
  readNode,
  walkDag,
} from '@x/cid'
import { UnixFS, type UnixFSOptions } from 'ipfs-unixfs'
import { describe, expect, it } from 'vitest'

import { Blocks, collect, concat, sampleBytes } from './oracle.ts'

const invalid = { code: 'INVALID_INPUT' }

async function held(blocks: Blocks, codec: number, bytes: Uint8Array): Promise<CID> {
  const cid = await cidOf(codec, bytes)
  blocks.add({ cid, bytes })
  return cid
}

/** A dag-pb block as nobody here would write it. */
async function node(
  blocks: Blocks,
  unixfs: UnixFSOptions & { blockSizes?: bigint[] },
  links: readonly { name?: string; cid: CID; dagBytes?: number }[] = [],
): Promise<CID> {
  const Links = links.map(({ name = '', cid, dagBytes = 1 }) => ({ Name: name, Tsize: dagBytes, Hash: cid }))
  return held(blocks, DAG_PB, dagPb.encode({ Data: new UnixFS(unixfs).marshal(), Links }))
}

const leaf = (blocks: Blocks, byteLength: number): Promise<CID> =>
  held(blocks, RAW, sampleBytes(byteLength, byteLength))

describe('a file that contradicts itself is refused:', () => {
  it('fewer block sizes than links', async () => {
    const blocks = new Blocks()
    const [a, b] = [await leaf(blocks, 10), await leaf(blocks, 20)]
    const cid = await node(blocks, { type: 'file', blockSizes: [10n] }, [{ cid: a }, { cid: b }])
    await expect(concat(readFile(blocks.getBlock, cid))).rejects.toMatchObject(invalid)
  })

  it('more block sizes than links', async () => {
    const blocks = new Blocks()
    const cid = await node(blocks, { type: 'file', blockSizes: [10n, 20n] }, [{ cid: await leaf(blocks, 10) }])
    await expect(concat(readFile(blocks.getBlock, cid))).rejects.toMatchObject(invalid)
  })

  it.each([9n, 11n])('a leaf of 10 bytes said to have %d', async (size) => {
    const blocks = new Blocks()
    const links = [{ cid: await leaf(blocks, 10) }, { cid: await leaf(blocks, 20) }]
    const cid = await node(blocks, { type: 'file', blockSizes: [size, 20n] }, links)
    await expect(concat(readFile(blocks.getBlock, cid))).rejects.toMatchObject(invalid)
  })

  it('a child that is a directory', async () => {
    const blocks = new Blocks()
    const directory = await node(blocks, { type: 'directory' })
    const cid = await node(blocks, { type: 'file', blockSizes: [1n] }, [{ cid: directory }])
    await expect(concat(readFile(blocks.getBlock, cid))).rejects.toMatchObject(invalid)
  })

  it('a child of another codec', async () => {
    const blocks = new Blocks()
    const cbor = await held(blocks, DAG_CBOR, Uint8Array.of(0xa0))
    const cid = await node(blocks, { type: 'file', blockSizes: [1n] }, [{ cid: cbor }])
    await expect(concat(readFile(blocks.getBlock, cid))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })

  it('over 2^53 bytes', async () => {
    const blocks = new Blocks()
    const cid = await node(blocks, { type: 'file', blockSizes: [2n ** 53n] }, [{ cid: await leaf(blocks, 1) }])
    await expect(concat(readFile(blocks.getBlock, cid))).rejects.toMatchObject(invalid)
  })

  it('a chain of a thousand nodes', async () => {
    const blocks = new Blocks()
    let cid = await leaf(blocks, 3)
    for (let depth = 0; depth < 1000; depth++) cid = await node(blocks, { type: 'file', blockSizes: [3n] }, [{ cid }])
    await expect(concat(readFile(blocks.getBlock, cid))).rejects.toMatchObject(invalid)
    // Walking it needs no depth.
    expect((await collect(walkDag(blocks.getBlock, cid))).length).toBe(1001)
  })

  it('but a short chain is a file', async () => {
    const blocks = new Blocks()
    let cid = await leaf(blocks, 3)
    for (let depth = 0; depth < 50; depth++) cid = await node(blocks, { type: 'file', blockSizes: [3n] }, [{ cid }])
    expect((await concat(readFile(blocks.getBlock, cid))).equals(sampleBytes(3, 3))).toBe(true)
  })
})

describe('a file of empty parts', () => {
  it('is read without following them', async () => {
    const blocks = new Blocks()
    const end = await leaf(blocks, 3)
    let nothing = await leaf(blocks, 0)
    // Each level has twice as many paths as the one below: 2^40 of them.
    for (let depth = 0; depth < 40; depth++) {
      nothing = await node(blocks, { type: 'file', blockSizes: [0n, 0n] }, [{ cid: nothing }, { cid: nothing }])
    }
    const links = [{ cid: end }, { cid: nothing }, { cid: end }]
    const cid = await node(blocks, { type: 'file', blockSizes: [3n, 0n, 3n] }, links)
    expect((await concat(readFile(blocks.getBlock, cid))).length).toBe(6)
    expect(blocks.read.length).toBeLessThan(10)
  })
})

describe('a file written by others is read:', () => {
  it('bytes in a node that has children too, and leaves of type raw', async () => {
    const blocks = new Blocks()
    const wrapped = await node(blocks, { type: 'raw', data: sampleBytes(1, 5) })
    const unixfs: UnixFSOptions & { blockSizes: bigint[] } = {
      type: 'file',
      data: sampleBytes(2, 4),
      blockSizes: [5n, 3n],
    }
    const cid = await node(blocks, unixfs, [{ cid: wrapped }, { cid: await leaf(blocks, 3) }])
    const whole = Buffer.concat([sampleBytes(2, 4), sampleBytes(1, 5), sampleBytes(3, 3)])
    expect((await concat(readFile(blocks.getBlock, cid))).equals(whole)).toBe(true)
    for (let offset = 0; offset <= whole.length; offset++) {
      for (let length = 0; offset + length <= whole.length + 1; length++) {
        const read = await concat(readFile(blocks.getBlock, cid, { offset, length }))
        expect(read.equals(whole.subarray(offset, offset + length))).toBe(true)
      }
    }
  })

  it('data before links', async () => {
    const blocks = new Blocks()
    const { cid: child } = await buildFile([sampleBytes(3, 3)], { onBlock: blocks.add })
    const unixfs = new UnixFS({ type: 'directory' }).marshal()
    const ordered = dagPb.encode({ Data: unixfs, Links: [{ Name: 'a', Tsize: 3, Hash: child }] })
    const data = dagPb.encode({ Data: unixfs, Links: [] })
    const links = ordered.subarray(0, ordered.length - data.length)
    const cid = await held(blocks, DAG_PB, Uint8Array.of(...data, ...links))
    expect((await collect(readDirectory(blocks.getBlock, cid))).map(({ name }) => name)).toEqual(['a'])
  })
})

describe('a block that is not UnixFS is refused:', () => {
  it.each([
    ['no protobuf', Uint8Array.of(0xff, 0xff, 0xff)],
    ['a dag-pb node without data', dagPb.encode({ Links: [] })],
    ['data that is no UnixFS', dagPb.encode({ Data: Uint8Array.of(0xff), Links: [] })],
    ['empty', new Uint8Array()],
  ])('%s', async (_name, bytes) => {
    const cid = await cidOf(DAG_PB, bytes)
    expect(() => decodeNode(cid, bytes)).toThrow(expect.objectContaining(invalid))
  })

  it('a symlink whose target is not UTF-8', async () => {
    const blocks = new Blocks()
    const cid = await node(blocks, { type: 'symlink', data: Uint8Array.of(0x61, 0xff) })
    await expect(readNode(blocks.getBlock, cid)).rejects.toMatchObject(invalid)
  })

  it('of a type that is not read', async () => {
    const blocks = new Blocks()
    const cid = await node(blocks, { type: 'metadata', data: Uint8Array.of(1) })
    await expect(readNode(blocks.getBlock, cid)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })
})

describe('symlinks', () => {
  it.each(['a', '../ünï ☃', '', '\uFEFFwith a byte order mark', '/etc/passwd'])(
    'keep the target %j',
    async (target) => {
      const { cid, bytes } = await encodeSymlink(1, target)
      expect(decodeNode(cid, bytes)).toEqual({ type: 'symlink', target })
    },
  )
})

describe('a directory is refused', () => {
  it.each(['..', '.', '', 'a/b', '/etc/passwd', 'a\0b'])('with an entry named %j', async (name) => {
    const blocks = new Blocks()
    const cid = await node(blocks, { type: 'directory' }, [{ name, cid: await leaf(blocks, 3) }])
    await expect(collect(readDirectory(blocks.getBlock, cid))).rejects.toMatchObject({ ...invalid, input: name })
  })

  it('with one name twice', async () => {
    const blocks = new Blocks()
    const links = [
      { name: 'a', cid: await leaf(blocks, 3) },
      { name: 'a', cid: await leaf(blocks, 4) },
    ]
    const cid = await node(blocks, { type: 'directory' }, links)
    await expect(collect(readDirectory(blocks.getBlock, cid))).rejects.toMatchObject({ ...invalid, input: 'a' })
  })

  it('when it is a file or symlink', async () => {
    const blocks = new Blocks()
    const file = await leaf(blocks, 3)
    await expect(collect(readDirectory(blocks.getBlock, file))).rejects.toMatchObject(invalid)
    const link = await node(blocks, { type: 'symlink', data: Uint8Array.of(0x61) })
    await expect(collect(readDirectory(blocks.getBlock, link))).rejects.toMatchObject(invalid)
    const directory = await node(blocks, { type: 'directory' })
    await expect(concat(readFile(blocks.getBlock, directory))).rejects.toMatchObject(invalid)
  })
})

describe('a shard is refused', () => {
  const shard: UnixFSOptions = { type: 'hamt-sharded-directory', data: Uint8Array.of(1), fanout: 256n, hashType: 0x22n }

  it.each(['', 'F'])('with a link named %j, which has no slot', async (name) => {
    const blocks = new Blocks()
    const cid = await node(blocks, shard, [{ name, cid: await leaf(blocks, 3) }])
    await expect(collect(readDirectory(blocks.getBlock, cid))).rejects.toMatchObject(invalid)
  })

  it.each(['FF..', 'FF.', 'FFa/b', 'FFa\0'])('with a link named %j, whose name is refused', async (name) => {
    const blocks = new Blocks()
    const cid = await node(blocks, shard, [{ name, cid: await leaf(blocks, 3) }])
    await expect(collect(readDirectory(blocks.getBlock, cid))).rejects.toMatchObject({
      ...invalid,
      input: name.slice(2),
    })
  })

  it('with a file where a shard should be', async () => {
    const blocks = new Blocks()
    const cid = await node(blocks, shard, [{ name: 'FF', cid: await leaf(blocks, 3) }])
    await expect(collect(readDirectory(blocks.getBlock, cid))).rejects.toMatchObject(invalid)
  })

  it.each([0n, 1n, 3n, 255n, 2048n, 2n ** 62n])('with a fanout of %d', async (fanout) => {
    const blocks = new Blocks()
    const cid = await node(blocks, { ...shard, fanout }, [])
    await expect(collect(readDirectory(blocks.getBlock, cid))).rejects.toMatchObject(invalid)
  })

  it('with a thousand levels', async () => {
    const blocks = new Blocks()
    let cid = await node(blocks, shard, [{ name: 'FFa', cid: await leaf(blocks, 3) }])
    for (let depth = 0; depth < 1000; depth++) cid = await node(blocks, shard, [{ name: 'FF', cid }])
    await expect(collect(readDirectory(blocks.getBlock, cid))).rejects.toMatchObject(invalid)
  })

  it('with one shard twice, which a few of could be followed for ever', async () => {
    const blocks = new Blocks()
    let cid = await node(blocks, shard, [])
    for (let depth = 0; depth < 40; depth++) {
      cid = await node(blocks, shard, [
        { name: '00', cid },
        { name: '01', cid },
      ])
    }
    await expect(collect(readDirectory(blocks.getBlock, cid))).rejects.toMatchObject(invalid)
  })

  it('with one name twice, in two shards', async () => {
    const blocks = new Blocks()
    const below = await node(blocks, shard, [{ name: '01a', cid: await leaf(blocks, 3) }])
    const links = [
      { name: '00', cid: below },
      { name: '01a', cid: await leaf(blocks, 4) },
    ]
    const cid = await node(blocks, shard, links)
    await expect(collect(readDirectory(blocks.getBlock, cid))).rejects.toMatchObject({ ...invalid, input: 'a' })
  })
})
