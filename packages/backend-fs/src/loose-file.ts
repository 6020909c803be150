import { DAG_PB, decodeNode, InvalidInputError, readFile, UnsupportedError, type CID, type GetBlock } from '@x/cid'

import type { StoreContext } from './context.ts'
import { createDirtyDirectories, createTemp } from './durable-write.ts'
import type { FileWriter } from './file-writer.ts'
import { keyOf } from './layout.ts'
import { decodeOutboard, encodeOutboard, leafBlock } from './outboard.ts'

/**
 * Writes a file that is held as loose blocks as a whole file, so that it has a path.
 *
 * @throws {UnsupportedError} Its DAG cannot be given back from a whole file: a node with bytes of its own beside
 *   children, or a leaf that is wrapped in another way than ours.
 */
export async function makeWhole(
  context: StoreContext,
  writer: FileWriter,
  getBlock: GetBlock,
  cid: CID,
  signal: AbortSignal | undefined,
): Promise<void> {
  const nodes = await interiorNodes(getBlock, cid, signal)
  const temp = await createTemp(context)
  try {
    let fileBytes = 0
    for await (const piece of readFile(getBlock, cid, { signal })) {
      await temp.write(piece)
      fileBytes += piece.length
    }
    await assertWholeHolds(cid, nodes, fileBytes, getBlock, signal)
    const dirty = createDirtyDirectories()
    await writer.publish({ cid, temp, nodes: nodes.values() }, dirty, signal)
    await dirty.sync()
  } finally {
    await temp.discard()
  }
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
  root: CID,
  nodes: ReadonlyMap<string, Uint8Array>,
  fileBytes: number,
  getBlock: GetBlock,
  signal: AbortSignal | undefined,
): Promise<void> {
  const leaves =
    nodes.size === 0
      ? [{ cid: root, offset: 0, length: fileBytes }]
      : (await decodeOutboard(root, encodeOutboard(nodes.values()), { fileBytes })).leaves
  for (const leaf of leaves) {
    if (leaf.cid.code !== DAG_PB) continue
    const node = decodeNode(leaf.cid, await getBlock(leaf.cid, { signal }))
    const own = node.type === 'file' ? node.data : new Uint8Array()
    await leafBlock(leaf, own).catch((cause: unknown) => {
      throw new UnsupportedError(`${root}: its leaf ${leaf.cid} is wrapped in another way`, { cause })
    })
  }
}
