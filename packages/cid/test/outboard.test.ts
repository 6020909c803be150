import { isDeepStrictEqual } from 'node:util'

import * as dagPb from '@ipld/dag-pb'
import {
  buildFile,
  buildOutboard,
  CID,
  createNodesOutboard,
  createOutboard,
  encodeOutboard,
  leafRange,
  outboardBlocks,
  readOutboard,
  verifyLeaf,
  verifyRange,
  walkDag,
  type GetBlock,
  type Outboard,
  type ProfileName,
} from '@x/cid'
import * as fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { sha256 } from 'multiformats/hashes/sha2'
import { describe, expect, it } from 'vitest'

import { Blocks, PROFILE_NAMES, sampleBytes } from './oracle.ts'

const KIB = 1024

async function built(length: number, profile: ProfileName) {
  const bytes = sampleBytes(length, length)
  const blocks = new Blocks()
  const result = await buildOutboard([bytes], { profile, onBlock: blocks.add })
  return { bytes, blocks, ...result, encoded: encodeOutboard(result.outboard) }
}

const leavesOf = (outboard: Outboard) =>
  Array.from({ length: outboard.leafCount }, (_, index) => {
    const { cid, offset, length } = outboard.leaf(index)
    return `${cid} ${offset} ${length}`
  })

const meaningOf = (outboard: Outboard) => ({
  root: outboard.root.toV1().toString(),
  fileBytes: outboard.fileBytes,
  leaves: leavesOf(outboard),
  nodes: [...outboard.nodes.keys()].toSorted(),
})

async function meansTheSame(root: CID, encoded: Uint8Array, meaning: ReturnType<typeof meaningOf>): Promise<boolean> {
  try {
    return isDeepStrictEqual(meaningOf(await readOutboard(root, encoded)), meaning)
  } catch {
    return false
  }
}

describe.each(PROFILE_NAMES)('%s', (profile) => {
  // 200 leaves of 256 KiB are more than one node of 174 links holds.
  it.each([0, 1, 256 * KIB, 256 * KIB + 1, 1024 * KIB, 1024 * KIB + 1, 200 * 256 * KIB + 3])(
    'of %d bytes: has the root and nodes that are built, and checks every leaf',
    async (length) => {
      const { bytes, cid, blocks, outboard, encoded } = await built(length, profile)
      const read = await readOutboard(cid, encoded, { fileBytes: length })
      expect(meaningOf(read)).toEqual(meaningOf(outboard))
      expect(read.root.equals(cid)).toBe(true)
      expect(encoded.length).toBe(24 + 32 * read.leafCount)
      for (const [key, node] of read.nodes) expect(Buffer.compare(node, blocks.held.get(key) ?? Buffer.of())).toBe(0)
      let end = 0
      for (let index = 0; index < read.leafCount; index++) {
        const leaf = read.leaf(index)
        expect(leaf.offset).toBe(end)
        end += leaf.length
        const block = await verifyLeaf(read, index, bytes.subarray(leaf.offset, end))
        expect(Buffer.compare(block, blocks.held.get(leaf.cid.toV1().toString()) ?? Buffer.of())).toBe(0)
        expect([read.leafAt(leaf.offset), read.leafAt(Math.max(leaf.offset, end - 1))]).toEqual([index, index])
      }
      expect(end).toBe(length)
      await verifyRange(read, 0, bytes)
      // Every block of the DAG, from the file and its outboard alone.
      const get: GetBlock = outboardBlocks(read, async (offset, size) => bytes.subarray(offset, offset + size))
      const served = new Set<string>()
      for await (const block of walkDag(get, cid)) {
        const key = block.toV1().toString()
        served.add(key)
        expect(Buffer.compare(await get(block, {}), blocks.held.get(key) ?? Buffer.of())).toBe(0)
      }
      expect(served).toEqual(new Set(blocks.held.keys()))
    },
  )

  it('is refused, or means the same, when any bit of it is flipped; and refused when cut or longer', async () => {
    const { cid, outboard, encoded } = await built(5 * 1024 * KIB + 7, profile)
    const meaning = meaningOf(outboard)
    for (let bit = 0; bit < encoded.length * 8; bit++) {
      const flipped = new Uint8Array(encoded)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      // More links than there are leaves change nothing, nor does the version of a root over raw leaves.
      const isSame = (bit >> 3 === 6 || bit >> 5 === 3) && (await meansTheSame(cid, flipped, meaning))
      const outcome = isSame ? meaning : await readOutboard(cid, flipped).catch((error: unknown) => error)
      expect(outcome).toMatchObject(isSame ? meaning : { code: 'INTEGRITY', cid })
    }
    for (let length = 0; length < encoded.length; length++) {
      await expect(readOutboard(cid, encoded.subarray(0, length))).rejects.toMatchObject({ code: 'INTEGRITY' })
    }
    for (const longer of [Buffer.concat([encoded, Buffer.of(0)]), Buffer.concat([encoded, encoded.subarray(24, 56)])]) {
      await expect(readOutboard(cid, longer)).rejects.toMatchObject({ code: 'INTEGRITY' })
    }
    await expect(readOutboard(cid, encoded, { fileBytes: 9 })).rejects.toMatchObject({ code: 'INTEGRITY' })
    const other = await built(6 * 1024 * KIB, profile)
    await expect(readOutboard(other.cid, encoded)).rejects.toMatchObject({ code: 'INTEGRITY' })
  })
})

it('has the same root as the importer-checked builder for any size and profile', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 3 * 1024 * KIB }),
      fc.constantFrom(...PROFILE_NAMES),
      async (length, profile) => {
        const bytes = sampleBytes(length, length)
        const { cid, dagBytes } = await buildFile([bytes], { profile })
        const { outboard, ...result } = await buildOutboard([bytes], { profile })
        expect(outboard.root.equals(cid)).toBe(true)
        expect(result.dagBytes).toBe(dagBytes)
      },
    ),
    { numRuns: 30 },
  )
})

it('refuses wrong leaves and names where they start', async () => {
  const { bytes, cid, outboard } = await built(3 * 1024 * KIB + 5, 'unixfs-v1-2025')
  const wrong = new Uint8Array(bytes)
  wrong[2 * 1024 * KIB + 9] = (wrong[2 * 1024 * KIB + 9] ?? 0) ^ 1
  const where = { code: 'INTEGRITY', offset: 2 * 1024 * KIB, cid: outboard.leaf(2).cid }
  await expect(verifyRange(outboard, 0, wrong)).rejects.toMatchObject(where)
  await expect(verifyRange(outboard, 2 * 1024 * KIB, wrong.subarray(2 * 1024 * KIB))).rejects.toMatchObject(where)
  await expect(verifyLeaf(outboard, 2, wrong.subarray(2 * 1024 * KIB, 3 * 1024 * KIB))).rejects.toMatchObject({
    ...where,
    actual: expect.any(CID),
  })
  await verifyRange(outboard, 0, wrong.subarray(0, 2 * 1024 * KIB))
  await expect(verifyLeaf(outboard, 2, bytes.subarray(0, 5))).rejects.toMatchObject(where)
  for (const index of [-1, 4, 1.5, Number.NaN]) {
    await expect(verifyLeaf(outboard, index, bytes)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
  for (const [offset, end] of [
    [1, 1024 * KIB],
    [0, 1024 * KIB - 1],
    [3 * 1024 * KIB, 3 * 1024 * KIB + 4],
  ] as const) {
    await expect(verifyRange(outboard, offset, bytes.subarray(offset, end))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    })
  }
  expect(leafRange(outboard, { offset: 1024 * KIB - 1, length: 2 })).toEqual({
    first: 0,
    end: 2,
    offset: 0,
    length: 2 * 1024 * KIB,
  })
  expect(leafRange(outboard, { offset: 3 * 1024 * KIB + 4 })).toMatchObject({ first: 3, end: 4, length: 5 })
  expect(leafRange(outboard, { offset: 9 * 1024 * KIB }).length).toBe(0)
  expect(cid.equals(outboard.root)).toBe(true)
})

it('costs a hostile header nothing: what it claims must be there before it is worked on', async () => {
  const { cid, encoded } = await built(100, 'unixfs-v1-2025')
  const claims: ((view: DataView) => void)[] = [
    (view) => view.setBigUint64(16, 2n ** 52n, true),
    (view) => view.setBigUint64(16, 2n ** 64n - 1n, true),
    (view) => view.setUint32(8, 0, true),
    (view) => view.setUint32(8, 2 ** 32 - 1, true),
    (view) => view.setUint32(12, 0, true),
    (view) => view.setUint32(12, 1, true),
    (view) => view.setUint32(12, 2 ** 32 - 1, true),
    (view) => view.setUint8(5, 3),
    (view) => view.setUint8(4, 2),
  ]
  for (const claim of claims) {
    const hostile = new Uint8Array(encoded)
    claim(new DataView(hostile.buffer))
    await expect(readOutboard(cid, hostile)).rejects.toMatchObject({ code: 'INTEGRITY', cid })
  }
  await expect(createOutboard('unixfs-v1-2025', 2 ** 40, new Uint8Array(32))).rejects.toMatchObject({
    code: 'INVALID_INPUT',
  })
})

/** A file whose nodes have two links: what no profile makes. */
async function binaryTree(leaves: readonly Uint8Array[], repeat = 0) {
  const nodes = new Map<string, Uint8Array>()
  let level: { cid: CID; size: number }[] = await Promise.all(
    leaves.map(async (bytes) => ({ cid: CID.createV1(0x55, await sha256.digest(bytes)), size: bytes.length })),
  )
  const join = async (children: typeof level) => {
    const unixfs = new UnixFS({ type: 'file', blockSizes: children.map(({ size }) => BigInt(size)) })
    const links = children.map(({ cid, size }) => ({ Name: '', Tsize: size, Hash: cid }))
    const bytes = dagPb.encode({ Data: unixfs.marshal(), Links: links })
    const cid = CID.createV1(dagPb.code, await sha256.digest(bytes))
    nodes.set(cid.toString(), bytes)
    return { cid, size: children.reduce((total, { size }) => total + size, 0) }
  }
  while (level.length > 1) {
    const parents: typeof level = []
    for (let index = 0; index < level.length; index += 2) parents.push(await join(level.slice(index, index + 2)))
    level = parents
  }
  let [top] = level
  for (let times = 0; times < repeat && top; times++) top = await join([top, top])
  if (!top) throw new Error('no leaves')
  return { root: top.cid, fileBytes: top.size, nodes }
}

it('holds a DAG that no profile makes as its nodes', async () => {
  const leaves = Array.from({ length: 7 }, (_, index) => sampleBytes(index, 1000 + index))
  const { root, fileBytes, nodes } = await binaryTree(leaves)
  const outboard = await createNodesOutboard(root, nodes, { fileBytes })
  const encoded = encodeOutboard(outboard)
  const read = await readOutboard(root, encoded)
  expect(meaningOf(read)).toEqual(meaningOf(outboard))
  expect(read.leafCount).toBe(7)
  await verifyRange(read, 0, Buffer.concat(leaves))
  for (let bit = 0; bit < encoded.length * 8; bit++) {
    const flipped = new Uint8Array(encoded)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    await expect(readOutboard(root, flipped)).rejects.toMatchObject({ code: 'INTEGRITY', cid: root })
  }
  for (let length = 0; length < encoded.length; length++) {
    await expect(readOutboard(root, encoded.subarray(0, length))).rejects.toMatchObject({ code: 'INTEGRITY' })
  }
})

it('has bounded cost when a few nodes stand for very many leaves', async () => {
  const { root, fileBytes, nodes } = await binaryTree([sampleBytes(1, 100), sampleBytes(2, 100)], 20)
  expect(nodes.size).toBe(21)
  await expect(createNodesOutboard(root, nodes, { fileBytes, maxLeaves: 1000 })).rejects.toMatchObject({
    code: 'INTEGRITY',
    message: expect.stringContaining('more than 1000 leaves'),
  })
})

it('any bytes are refused or are those of the root', async () => {
  const { cid } = await built(100, 'kubo-v1')
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, asHeader) => {
      const hostile = asHeader ? Buffer.concat([Buffer.from([0x55, 0x4f, 0x42, 0x44, 1, 2, 0, 0]), bytes]) : bytes
      await expect(readOutboard(cid, hostile)).rejects.toMatchObject({ code: 'INTEGRITY' })
    }),
    { numRuns: 500 },
  )
})
