import {
  createNodesOutboard,
  createOutboard,
  DAG_PB,
  decodeNode,
  InvalidInputError,
  MAX_BLOCK_BYTES,
  RAW,
  SHA2_256,
  readFile,
  UnsupportedError,
  verifyLeaf,
  type CID,
  type GetBlock,
  type Outboard,
} from '@x/cid'

import type { StagedAdd } from './adding/staged-add.ts'
import type { Catalogue } from './catalogue/catalogue.ts'
import type { StoreContext } from './context.ts'
import { createTemp } from './durable-write.ts'
import { keyOf } from './layout.ts'
import { withLease } from './lease.ts'
import type { Quota } from './quota.ts'

/**
 * Writes a file that is held as blocks, or in a pack, as a file of its own, so that it has a path.
 *
 * @throws {UnsupportedError} Its DAG cannot be given back from a whole file: a node with bytes of its own beside
 *   children, or a leaf that is wrapped in another way than ours.
 */
export async function makeWhole(
  context: StoreContext,
  { catalogue, quota, begin }: { catalogue: Catalogue; quota: Quota; begin: (lease: string) => StagedAdd },
  getBlock: GetBlock,
  cid: CID,
  signal: AbortSignal | undefined,
): Promise<void> {
  context.assertWritable(`make ${cid} a whole file`)
  await withLease(context, catalogue, async (lease) => {
    const nodes = await interiorNodes(getBlock, cid, signal)
    // Before anything is written: a small DAG may be one of very many bytes.
    await makeRoom(cid, await sizeOf(getBlock, cid, signal))
    const staged = begin(lease)
    const temp = await createTemp(context)
    try {
      let fileBytes = 0
      for await (const piece of readFile(getBlock, cid, { signal })) {
        await temp.write(piece)
        fileBytes += piece.length
      }
      const outboard = await outboardOf(cid, nodes, fileBytes)
      await assertWholeHolds(outboard, getBlock, signal)
      await staged.adopt(temp, outboard, signal)
      await catalogue.write(`make ${cid} a whole file`, signal, async (turn) => {
        quota.assertRoom(turn, staged.bytes())
        // The pack that it lay in may go.
        turn.mustLast()
        await staged.publish(turn)
      })
    } finally {
      await temp.discard()
      await staged.discard()
    }
  })

  async function makeRoom(root: CID, bytes: number): Promise<void> {
    await quota.makeRoom(bytes, signal)
    await catalogue.write(`make room for ${root}`, signal, (turn) => quota.assertRoom(turn, bytes))
  }
}

async function sizeOf(getBlock: GetBlock, cid: CID, signal: AbortSignal | undefined): Promise<number> {
  const node = decodeNode(cid, await getBlock(cid, { signal }))
  return node.type === 'file' ? node.fileBytes : 0
}

async function outboardOf(root: CID, nodes: ReadonlyMap<string, Uint8Array>, fileBytes: number): Promise<Outboard> {
  if (nodes.size > 0) return createNodesOutboard(root, nodes, { fileBytes })
  if (root.multihash.code !== SHA2_256)
    throw new UnsupportedError(`${root}: a file under another hash than SHA-256 has no path`)
  return createOutboard(
    { cidVersion: root.version, rawLeaves: root.code === RAW, chunkBytes: MAX_BLOCK_BYTES, maxLinks: 2 },
    fileBytes,
    root.multihash.digest,
  )
}

/** Distinct ones, children before parents. */
async function interiorNodes(getBlock: GetBlock, root: CID, signal: AbortSignal | undefined) {
  const nodes = new Map<string, Uint8Array>()
  const visit = async (cid: CID): Promise<void> => {
    if (cid.code !== DAG_PB || nodes.has(keyOf(cid))) return
    const bytes = await getBlock(cid, { signal })
    const node = decodeNode(cid, bytes)
    if (node.type !== 'file') throw new InvalidInputError(`${root} is not a valid file`, { input: root.toString() })
    if (node.children.length === 0) return
    if (node.data.length > 0) throw new UnsupportedError(`${root}: a node with bytes beside children has no whole file`)
    for (const child of node.children) await visit(child.cid)
    nodes.set(keyOf(cid), bytes)
  }
  await visit(root)
  return nodes
}

async function assertWholeHolds(
  outboard: Outboard,
  getBlock: GetBlock,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let index = 0; index < outboard.leafCount; index++) {
    const { cid } = outboard.leaf(index)
    if (cid.code !== DAG_PB) continue
    const node = decodeNode(cid, await getBlock(cid, { signal }))
    const own = node.type === 'file' ? node.data : new Uint8Array()
    await verifyLeaf(outboard, index, own).catch((cause: unknown) => {
      throw new UnsupportedError(`${outboard.root}: its leaf ${cid} is wrapped in another way`, { cause })
    })
  }
}
