import { buildFile, CID, type ProfileName } from '@x/cid'
import { expect, it } from 'vitest'

import { decodeOutboard, encodeOutboard, leafAt, leafBlock } from '../src/outboard.ts'
import { someBytes } from './support.ts'

const KIB = 1024

async function built(length: number, profile: ProfileName) {
  const bytes = someBytes(length)
  const nodes: Uint8Array[] = []
  const { cid } = await buildFile([bytes], {
    profile,
    onBlock: (block) => {
      if (block.kind === 'node') nodes.push(block.bytes)
    },
  })
  return { bytes, cid, nodes, encoded: encodeOutboard(nodes) }
}

it.each(['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1'] as const)(
  'lists and checks every leaf: %s',
  async (profile) => {
    // 200 leaves of 256 KiB are more than one node of 174 links holds.
    const { bytes, cid, encoded } = await built(200 * 256 * KIB + 3, profile)
    const outboard = await decodeOutboard(cid, encoded, { fileBytes: bytes.length })
    let end = 0
    for (const [index, leaf] of outboard.leaves.entries()) {
      expect(leaf.offset).toBe(end)
      end += leaf.length
      await leafBlock(leaf, bytes.subarray(leaf.offset, end))
      await expect(leafBlock(leaf, bytes.subarray(leaf.offset + 1, end + 1))).rejects.toMatchObject({
        code: 'INTEGRITY',
      })
      expect(leafAt(outboard, leaf.offset)).toBe(index)
      expect(leafAt(outboard, end - 1)).toBe(index)
    }
    expect(end).toBe(bytes.length)
  },
)

it('is refused when any bit of it is flipped, it is cut anywhere, or it is of another file', async () => {
  const { bytes, cid, encoded } = await built(5 * 256 * KIB, 'kubo-v1')
  const limits = { fileBytes: bytes.length }
  for (let at = 0; at < encoded.length; at++) {
    const flipped = new Uint8Array(encoded)
    flipped[at] = (flipped[at] ?? 0) ^ 4
    await expect(decodeOutboard(cid, flipped, limits)).rejects.toMatchObject({ code: 'INTEGRITY', cid })
    await expect(decodeOutboard(cid, encoded.subarray(0, at), limits)).rejects.toMatchObject({ code: 'INTEGRITY' })
  }
  await expect(decodeOutboard(cid, encoded, { fileBytes: bytes.length - 1 })).rejects.toMatchObject({
    code: 'INTEGRITY',
  })
  const other = await built(6 * 256 * KIB, 'kubo-v1')
  await expect(decodeOutboard(other.cid, encoded, limits)).rejects.toMatchObject({ code: 'INTEGRITY' })
  expect((await decodeOutboard(CID.parse(cid.toString()), encoded, limits)).leaves).toHaveLength(5)
})

it('has bounded cost when a few nodes stand for very many leaves', async () => {
  const zeros = new Uint8Array(1024 * KIB)
  const nodes = new Map<string, Uint8Array>()
  const { cid, fileBytes } = await buildFile(
    Array.from({ length: 1100 }, () => zeros),
    {
      onBlock: (block) => {
        if (block.kind === 'node') nodes.set(block.cid.toString(), block.bytes)
      },
    },
  )
  expect(nodes.size).toBe(3)
  const encoded = encodeOutboard(nodes.values())
  expect((await decodeOutboard(cid, encoded, { fileBytes })).leaves).toHaveLength(1100)
  await expect(decodeOutboard(cid, encoded, { fileBytes, maxLeaves: 1000 })).rejects.toMatchObject({
    code: 'INTEGRITY',
    message: expect.stringContaining('more than 1000 leaves'),
  })
})
