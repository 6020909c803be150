import { DAG_PB, decodeNode, isStorageError, RAW, type CID } from '@x/cid'
import type { Blockstore, RecordChange } from '@x/storage-core'

import type { StoreContext } from '../context.ts'
import { keyOf } from '../layout.ts'
import type { LooseBlocks } from '../loose-blocks.ts'
import type { Tree } from '../tree.ts'
import type { Catalogue } from './catalogue.ts'

export interface EverythingParts {
  blocks: Blockstore
  catalogue: Catalogue
  loose: LooseBlocks
  tree: Tree
}

/**
 * Pins all that nothing else links to, where it is not known any more what was pinned: a later `gc` then deletes nothing
 * by mistake. Resolves to the roots.
 */
export async function pinEverything(
  context: StoreContext,
  { blocks, catalogue, loose, tree }: EverythingParts,
  signal: AbortSignal | undefined,
): Promise<CID[]> {
  const candidates = new Map<string, CID>()
  const linked = new Set<string>()
  const note = async (cid: CID): Promise<void> => {
    candidates.set(keyOf(cid), cid)
    if (cid.code === DAG_PB) for (const link of await linksOf(blocks, cid, signal)) linked.add(keyOf(link))
  }
  for (const { root, key } of catalogue.dags()) {
    candidates.set(keyOf(root), root)
    if (!root.equals(key)) linked.add(keyOf(key))
  }
  for (const { key } of catalogue.files()) if (key.code === RAW) candidates.set(keyOf(key), key)
  for (const { name } of catalogue.packs()) for (const { block } of catalogue.packedIn(name)) await note(block)
  for await (const cid of loose.list()) await note(cid)

  const roots = [...candidates].filter(([key]) => !linked.has(key)).map(([, cid]) => cid)
  const changes: RecordChange[] = []
  const now = new Date().toISOString()
  for (const cid of roots) {
    changes.push({ type: 'put-pin', record: { cid, pinnedAt: now } })
    const info = await infoOf(tree, cid, signal)
    if (!info) continue
    const size = info.type === 'symlink' ? 0 : info.size
    changes.push({ type: 'put-root', record: { cid, type: info.type, size, addedAt: now, metadata: {} } })
  }
  await catalogue.write('pin everything', signal, (turn) => {
    for (const change of changes) {
      if (change.type === 'put-root' && turn.root(change.record.cid)) continue
      if (change.type === 'put-pin' && turn.pin(change.record.cid)) continue
      turn.change(change)
    }
    turn.setAllLost(false)
  })
  context.warn(`which roots were pinned is not known any more, so all ${roots.length} are pinned now; names are lost`)
  return roots
}

async function linksOf(blocks: Blockstore, cid: CID, signal: AbortSignal | undefined): Promise<CID[]> {
  try {
    const node = decodeNode(cid, await blocks.get(cid, { signal }))
    if (node.type === 'symlink') return []
    return (node.type === 'file' ? node.children : node.links).map((link) => link.cid)
  } catch (cause) {
    if (!isStorageError(cause) || cause.code === 'BACKEND') throw cause
    // What is damaged or no UnixFS links to nothing that can be told, and its links stay candidates.
    return []
  }
}

/** `undefined` for what is held in part, damaged, or no file or directory: it is pinned, and no root. */
async function infoOf(tree: Tree, cid: CID, signal: AbortSignal | undefined) {
  try {
    return await tree.stat(cid, { signal })
  } catch (cause) {
    if (!isStorageError(cause) || cause.code === 'BACKEND') throw cause
    return undefined
  }
}
