import { buildDirectory, CID, cidOf, DAG_PB, decodeNode, RAW, type Block, type NodeLink } from '@x/cid'
import { expect, it } from 'vitest'

import { createDagPlan } from '../src/dag-plan.ts'

async function directory(links: readonly NodeLink[]): Promise<Block> {
  const built: Block[] = []
  // The profile whose directories become shards the latest; a hostile one need not shard at all.
  await buildDirectory(links, { profile: 'kubo-v1', onBlock: (block) => void built.push(block) })
  const root = built.at(-1)
  if (!root) throw new Error('no block')
  return root
}

const leaf = (index: number): Promise<CID> => cidOf(RAW, new TextEncoder().encode(`leaf ${index}`))

async function leaves(count: number, first = 0): Promise<NodeLink[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const at = first + index
      return { name: `n${at}`, cid: await leaf(at), dagBytes: 9 }
    }),
  )
}

/** A link of a dag-pb node as protobuf has it: a hash and an empty name. */
const toLink = ({ bytes }: CID): number[] => [0x12, bytes.length + 4, 0x0a, bytes.length, ...bytes, 0x12, 0]

it('goes through a directory in its order, and past what is skipped', async () => {
  const links = await leaves(10)
  const block = await directory(links)
  const plan = createDagPlan(block.cid, {})
  const root = plan.advanceTo(block.cid)
  if (!root) throw new Error('the root is not planned')
  plan.follow(root.want, block.bytes)
  const inOrder = decodeNode(block.cid, block.bytes)
  if (inOrder.type !== 'directory') throw new Error('no directory')
  const cids = inOrder.links.map(({ cid }) => cid)
  expect(plan.upcoming(3).map(({ cid }) => cid)).toEqual(cids.slice(0, 3))
  expect(plan.upcoming(4).map(({ cid }) => cid)).toEqual(cids.slice(0, 4))
  const fifth = cids[5]
  if (!fifth) throw new Error('too few')
  const next = plan.advanceTo(fifth)
  expect(next?.want.cid).toEqual(fifth)
  // Those that were given before; the others nobody knows of.
  expect(next?.passed.map(({ cid }) => cid)).toEqual(cids.slice(0, 4).toReversed())
  expect(cids.map((cid) => plan.includes(cid))).toEqual(cids.map((_, index) => index > 5))
  expect(plan.upcoming(100).map(({ cid }) => cid)).toEqual(cids.slice(6))
  if (next) plan.putBack(next.want)
  expect(plan.upcoming(1)[0]?.cid).toEqual(fifth)
})

it('goes on behind a directory within a directory', async () => {
  const inner = await directory(await leaves(3))
  const outer = await directory([{ name: 'a', cid: inner.cid, dagBytes: 9 }, ...(await leaves(1, 50))])
  const plan = createDagPlan(outer.cid, {})
  for (const block of [outer, inner]) {
    const next = plan.advanceTo(block.cid)
    if (!next) throw new Error('it is not planned')
    plan.follow(next.want, block.bytes)
  }
  expect(plan.upcoming(9).length).toBe(4)
  expect(plan.advanceTo(await leaf(50))?.want.cid).toEqual(await leaf(50))
  expect(plan.upcoming(9)).toEqual([])
})

it('takes a node of very many links, and looks no further in it than it says', async () => {
  const inline = CID.decode(Uint8Array.of(1, RAW, 0, 0))
  const last = await leaf(1)
  const links = [...Array.from({ length: 140_000 }, () => inline), last]
  const bytes = Uint8Array.from([...links.flatMap(toLink), 0x0a, 2, 0x08, 0x01])
  const cid = await cidOf(DAG_PB, bytes)
  const plan = createDagPlan(cid, {})
  const root = plan.advanceTo(cid)
  if (!root) throw new Error('the root is not planned')
  plan.follow(root.want, bytes)
  // What is in its CID is not fetched, so it is not planned.
  expect(plan.upcoming(10).map((want) => want.cid)).toEqual([last])
})

it('forgets the outermost of a DAG that would fill the memory', async () => {
  const links = await leaves(1500)
  let block = await directory(links)
  const chain = [block]
  for (let level = 0; level < 300; level++) {
    block = await directory([{ name: 'a', cid: block.cid, dagBytes: 9 }, ...links])
    chain.push(block)
  }
  const plan = createDagPlan(block.cid, {})
  for (const each of chain.toReversed()) {
    const next = plan.advanceTo(each.cid)
    if (!next) throw new Error('it is not planned')
    plan.follow(next.want, each.bytes)
  }
  expect(plan.upcoming(5).length).toBe(5)
  expect(plan.upcoming(300 * 1500).length).toBeLessThanOrEqual(250_000)
})
