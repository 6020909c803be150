import { DAG_PB, decodeNode, IDENTITY, RAW, readNode, type CID, type GetBlock, type UnixfsNode } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { AbortOptions } from './blockstore.ts'
import { codeOf } from './error-code.ts'
import { atPlace, joinPath, type Place } from './place.ts'

/**
 * Every block that is reachable from `roots`, by key, as far as it is held. A dag-cbor block is taken as a leaf.
 *
 * @param options.damaged - What a damaged block needs cannot be told: fail, or go on as if it were a leaf.
 * @throws {IntegrityError} A node is damaged.
 */
export async function reachableFrom(
  get: GetBlock,
  roots: Iterable<CID>,
  { signal, damaged }: AbortOptions & { damaged: 'fail' | 'leaf' },
): Promise<Map<string, CID>> {
  const reached = new Map<string, CID>()
  const queue = [...roots]
  for (let cid = queue.pop(); cid !== undefined; cid = queue.pop()) {
    signal?.throwIfAborted()
    const key = blockKey(cid)
    if (reached.has(key)) continue
    reached.set(key, cid)
    for (const link of linksOf(await nodeIfHeld(get, cid, { signal, damaged }))) queue.push(link)
  }
  return reached
}

/** `undefined` for what is not held and for what has no links that are known here. */
async function nodeIfHeld(
  get: GetBlock,
  cid: CID,
  { signal, damaged }: AbortOptions & { damaged: 'fail' | 'leaf' },
): Promise<UnixfsNode | undefined> {
  if (cid.code !== DAG_PB) return undefined
  try {
    return await readNode(get, cid, { signal })
  } catch (error) {
    const code = codeOf(error)
    // dag-pb that is not UnixFS: it can be put as a loose block, and what it links to cannot be told.
    if (code === 'NOT_FOUND' || code === 'INVALID_INPUT' || code === 'UNSUPPORTED') return undefined
    if (code === 'INTEGRITY' && damaged === 'leaf') return undefined
    throw error
  }
}

function linksOf(node: UnixfsNode | undefined): CID[] {
  if (node === undefined || node.type === 'symlink') return []
  return (node.type === 'file' ? node.children : node.links).map((link) => link.cid)
}

/**
 * Reads every block below `root` once, so that `get` verifies it, in the order of the files.
 *
 * @param at - Where `root` itself lies.
 * @returns Bytes of the blocks that were read.
 */
export async function readWholeDag(
  get: GetBlock,
  root: CID,
  at: Place,
  { signal, onProgress }: AbortOptions & { onProgress?: ((checked: number) => void) | undefined },
): Promise<number> {
  const seen = new Set<string>()
  const stack: { cid: CID; place: Place }[] = [{ cid: root, place: at }]
  let checked = 0
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    signal?.throwIfAborted()
    const { cid, place } = next
    const key = blockKey(cid)
    if (seen.has(key)) continue
    seen.add(key)
    const bytes = await readAt(get, cid, place, signal)
    checked += bytes.length
    onProgress?.(checked)
    if (cid.code !== DAG_PB) continue
    for (const below of placesBelow(decodeNode(cid, bytes), place).toReversed()) stack.push(below)
  }
  return checked
}

async function readAt(get: GetBlock, cid: CID, place: Place, signal: AbortSignal | undefined): Promise<Uint8Array> {
  if (cid.multihash.code === IDENTITY) return cid.multihash.digest
  try {
    return await get(cid, { signal })
  } catch (error) {
    // A raw block is a leaf of a file even where its parent is a directory.
    const offset = place.offset ?? (cid.code === RAW ? 0 : undefined)
    throw atPlace(error, { file: place.file, offset })
  }
}

function placesBelow(node: UnixfsNode, { file, offset = 0 }: Place): { cid: CID; place: Place }[] {
  if (node.type === 'symlink') return []
  if (node.type === 'file') {
    let start = offset + node.data.length
    return node.children.map(({ cid, fileBytes }) => {
      const place = { file, offset: start }
      start += fileBytes
      return { cid, place }
    })
  }
  const prefixLength = node.type === 'shard' ? node.prefixLength : 0
  return node.links.map(({ cid, name }) => ({ cid, place: { file: joinPath(file, name.slice(prefixLength)) } }))
}
