import { DAG_PB, decodeNode, isStorageError, type CID, type Outboard } from '@x/cid'
import { BlockNotFoundError, type Blockstore } from '@x/storage-core'

import type { HeldFiles } from './held-file.ts'
import { keyOf } from './layout.ts'

/** What a DAG consists of in this store: files held whole, and blocks. */
export type DagPart = { kind: 'file'; cid: CID; outboard: Outboard } | { kind: 'block'; cid: CID }

export interface PartsOptions {
  signal?: AbortSignal | undefined
  /**
   * Called for a part that is missing or damaged, and then what is below it stays unknown. Default: the walk rejects with
   * the error.
   */
  onUnreadable?: ((cid: CID, error: unknown) => void) | undefined
}

/**
 * Yields every part of a DAG once. Bytes of files and raw blocks are not read; what has links is, and checked.
 *
 * @throws {BlockNotFoundError} A part is not held.
 * @throws {IntegrityError} A part is damaged.
 */
export async function* dagParts(
  blocks: Blockstore,
  held: HeldFiles,
  root: CID,
  { signal, onUnreadable }: PartsOptions = {},
): AsyncGenerator<DagPart> {
  const seen = new Set<string>()
  const queue = [root]
  for (let cid = queue.pop(); cid !== undefined; cid = queue.pop()) {
    signal?.throwIfAborted()
    if (seen.has(keyOf(cid))) continue
    seen.add(keyOf(cid))
    try {
      const outboard = await held.outboardOf(cid)
      if (outboard) {
        yield { kind: 'file', cid, outboard }
        continue
      }
      // One by one: a call takes only so many arguments.
      for (const link of await linksOf(blocks, cid, signal)) queue.push(link)
    } catch (cause) {
      if (!onUnreadable || !isStorageError(cause)) throw cause
      if (cause.code !== 'NOT_FOUND' && cause.code !== 'INTEGRITY') throw cause
      onUnreadable(cid, cause)
      continue
    }
    yield { kind: 'block', cid }
  }
}

async function linksOf(blocks: Blockstore, cid: CID, signal: AbortSignal | undefined): Promise<CID[]> {
  if (cid.code !== DAG_PB) {
    if (await blocks.has(cid, { signal })) return []
    throw new BlockNotFoundError(cid)
  }
  const node = decodeNode(cid, await blocks.get(cid, { signal }))
  if (node.type === 'file') return node.children.map((child) => child.cid)
  return node.type === 'symlink' ? [] : node.links.map((link) => link.cid)
}
