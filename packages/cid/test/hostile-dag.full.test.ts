import * as dagPb from '@ipld/dag-pb'
import {
  CID,
  DAG_CBOR,
  DAG_PB,
  RAW,
  readDirectory,
  readFile,
  walkDag,
  writeCar,
  writePartialCar,
  type GetBlock,
} from '@x/cid'
import { UnixFS } from 'ipfs-unixfs'
import { create as createDigest } from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'
import { describe, expect, it } from 'vitest'

const INLINE_BYTES = 16 * 1024
const LINKS = 128

/** A CID of no real block: what reads DAGs trusts that blocks are verified. */
function numbered(index: number): CID {
  const digest = new Uint8Array(32)
  new DataView(digest.buffer).setUint32(0, index)
  return CID.createV1(DAG_PB, createDigest(0x12, digest))
}

/** A file of one byte whose block lies in its CID, far longer than it need be. */
function inlineFile(codec: number): CID {
  const bytes = new Uint8Array(INLINE_BYTES)
  if (codec !== DAG_PB) return CID.createV1(codec, identity.digest(bytes))
  const data = new UnixFS({ type: 'file', data: bytes })
  return CID.createV1(DAG_PB, identity.digest(dagPb.encode({ Data: data.marshal(), Links: [] })))
}

interface EndlessOptions {
  type: 'file' | 'directory'
  codec: number
  /** Nodes. A test that reads on to the end of an endless DAG fails. */
  depth: number
}

/** Nodes of 2 MiB, each below the other: the next one, then inline blocks that are still to be followed when it is read. */
function deepAndWide({ type, codec, depth }: EndlessOptions): { get: GetBlock; root: CID; reads: () => number } {
  const inline = inlineFile(codec)
  const below = Array.from({ length: LINKS }, () => ({ Name: '', Tsize: 1, Hash: inline }))
  let reads = 0
  const get: GetBlock = async ({ multihash }) => {
    reads += 1
    const index = new DataView(multihash.digest.slice().buffer).getUint32(0)
    const isLast = index + 1 >= depth
    const node = new UnixFS({ type })
    const left = depth - index - 1
    if (type === 'file' && !isLast) node.addBlockSize(BigInt(left * LINKS * INLINE_BYTES))
    if (type === 'file') below.forEach(() => node.addBlockSize(BigInt(INLINE_BYTES)))
    const next = isLast ? [] : [{ Name: '', Tsize: 1, Hash: numbered(index + 1) }]
    return dagPb.encode({ Data: node.marshal(), Links: [...next, ...below] })
  }
  return { get, root: numbered(0), reads: () => reads }
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]()
  for (let next = await iterator.next(); !next.done; next = await iterator.next());
}

const READERS: [string, 'file' | 'directory', (get: GetBlock, root: CID) => AsyncIterable<unknown>][] = [
  ['walkDag', 'directory', (get, root) => walkDag(get, root)],
  ['walkDag of a file', 'file', (get, root) => walkDag(get, root)],
  ['writeCar', 'directory', (get, root) => writeCar(get, root)],
  ['writePartialCar of all', 'directory', (get, root) => writePartialCar(get, root)],
  ['writePartialCar of a file', 'file', (get, root) => writePartialCar(get, root, { scope: 'entity' })],
  ['writePartialCar of a range', 'file', (get, root) => writePartialCar(get, root, { scope: 'entity', offset: 1 })],
]

describe.each(READERS)('%s', (_name, type, read) => {
  it('refuses a DAG that is wide and deep after 64 MiB of links', async () => {
    const { get, root, reads } = deepAndWide({ type, codec: DAG_PB, depth: 60 })
    await expect(drain(read(get, root))).rejects.toMatchObject({ code: 'INVALID_INPUT', input: root.toString() })
    expect(reads()).toBeLessThan(35)
  })

  it('holds no links to inline raw blocks', async () => {
    const { get, root, reads } = deepAndWide({ type, codec: RAW, depth: 60 })
    await drain(read(get, root))
    expect(reads()).toBe(60)
  })
})

it('readFile refuses a file that is wide and deep after 64 MiB of links', async () => {
  const { get, root, reads } = deepAndWide({ type: 'file', codec: DAG_PB, depth: 60 })
  await expect(drain(readFile(get, root))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  expect(reads()).toBeLessThan(35)
})

it('walkDag holds no inline dag-cbor, which it takes as a leaf', async () => {
  const { get, root, reads } = deepAndWide({ type: 'directory', codec: DAG_CBOR, depth: 40 })
  await drain(walkDag(get, root))
  expect(reads()).toBe(40)
})

it('walkDag takes a node with any number of links', async () => {
  const inline = CID.createV1(RAW, identity.digest(new Uint8Array()))
  const Links = Array.from({ length: 140_000 }, () => ({ Name: '', Tsize: 0, Hash: inline }))
  const bytes = dagPb.encode({ Data: new UnixFS({ type: 'directory' }).marshal(), Links })
  const walked: CID[] = []
  for await (const cid of walkDag(async () => bytes, numbered(0))) walked.push(cid)
  expect(walked.map(String)).toEqual([numbered(0).toString()])
})

it('a range refuses an inline raw block of another size than its parent says', async () => {
  const node = new UnixFS({ type: 'file' })
  node.addBlockSize(2n)
  const Hash = CID.createV1(RAW, identity.digest(Uint8Array.of(1)))
  const bytes = dagPb.encode({ Data: node.marshal(), Links: [{ Name: '', Tsize: 1, Hash }] })
  for (const length of [1, undefined]) {
    const car = writePartialCar(async () => bytes, numbered(0), { scope: 'entity', length })
    await expect(drain(car)).rejects.toMatchObject({ code: 'INVALID_INPUT', input: Hash.toString() })
  }
})

it('readDirectory refuses shards of shards that have far more links than a shard can', async () => {
  let reads = 0
  const get: GetBlock = async ({ multihash }) => {
    reads += 1
    const index = new DataView(multihash.digest.slice().buffer).getUint32(0)
    const node = new UnixFS({ type: 'hamt-sharded-directory', fanout: 16n, hashType: 0x22n })
    const names = Array.from({ length: 5000 }, (_, at) => ({
      Name: `1${index}-${String(at).padStart(4, '0')}`,
      Tsize: 1,
      Hash: numbered(0),
    }))
    return dagPb.encode({ Data: node.marshal(), Links: [{ Name: '0', Tsize: 1, Hash: numbered(index + 1) }, ...names] })
  }
  await expect(drain(readDirectory(get, numbered(0)))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  expect(reads).toBeLessThan(20)
})
