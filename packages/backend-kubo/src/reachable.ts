import { DAG_PB, decodeNode, type CID } from '@x/cid'
import { BlockNotFoundError, type AbortOptions } from '@x/storage-core'
import { codeOf } from '@x/storage-core/backend'

import { getHeldBlock, isHeld } from './get-block.ts'
import { multihashKey } from './multihash-key.ts'
import type { Rpc } from './rpc/rpc.ts'
import { cidOfText, fieldsOf, textOf } from './rpc/values.ts'

const IDENTITY = 0x00
const AT_ONCE = 8
/** More leaves than this are looked up in the list of everything that the daemon holds: to ask for one reads it. */
const ASKED_ONE_BY_ONE = 64

/**
 * Every block that is reachable from `roots`, by multihash, as far as the daemon holds it. Only what is dag-pb is read;
 * anything else is taken as a leaf.
 *
 * @param options.damaged - What a damaged node needs cannot be told: fail, or go on as if it were a leaf.
 * @throws {IntegrityError} A node is damaged.
 */
export async function reachableFrom(
  rpc: Rpc,
  roots: Iterable<CID>,
  { signal, damaged }: AbortOptions & { damaged: 'fail' | 'leaf' },
): Promise<Map<string, CID>> {
  const tolerated = new Set(['NOT_FOUND', 'INVALID_INPUT', 'UNSUPPORTED', ...(damaged === 'leaf' ? ['INTEGRITY'] : [])])
  return walk(roots, async (cid) => {
    try {
      return linksOf(cid, await getHeldBlock(rpc, cid, { signal }))
    } catch (error) {
      signal?.throwIfAborted()
      if (tolerated.has(codeOf(error) ?? '')) return []
      throw error
    }
  })
}

/**
 * Resolves when the daemon holds everything below a root. Nodes are read and checked; leaves are looked up.
 *
 * @throws {BlockNotFoundError} A block is not there.
 */
export async function assertHeld(rpc: Rpc, root: CID, { signal }: AbortOptions): Promise<void> {
  const all = await walk([root], async (cid) => linksOf(cid, await getHeldBlock(rpc, cid, { signal })))
  const leaves = new Map([...all].filter(([, cid]) => cid.code !== DAG_PB && cid.multihash.code !== IDENTITY))
  if (leaves.size <= ASKED_ONE_BY_ONE) {
    const cids = [...leaves.values()]
    for (let start = 0; start < cids.length; start += AT_ONCE) {
      const asked = cids.slice(start, start + AT_ONCE)
      const held = await Promise.all(asked.map((cid) => isHeld(rpc, cid, { signal })))
      const missing = asked.find((_, index) => !held[index])
      if (missing) throw new BlockNotFoundError(missing)
    }
    return
  }
  const what = `look for the leaves of ${root}`
  for await (const value of rpc.lines('refs/local', { signal, what })) {
    leaves.delete(multihashKey(cidOfText(textOf(fieldsOf(value, what), 'Ref', what), what)))
    if (leaves.size === 0) return
  }
  for (const missing of leaves.values()) throw new BlockNotFoundError(missing)
}

/** Several nodes at a time. */
async function walk(
  roots: Iterable<CID>,
  linksBelow: (cid: CID) => Promise<readonly CID[]>,
): Promise<Map<string, CID>> {
  const found = new Map<string, CID>()
  // The last is the next.
  const queue: CID[] = []
  const find = (cids: Iterable<CID>): void => {
    for (const cid of cids) {
      const key = multihashKey(cid)
      const known = found.get(key)
      // One block under two codecs: the one with links counts.
      if (known && (known.code === DAG_PB || cid.code !== DAG_PB)) continue
      found.set(key, cid)
      if (cid.code === DAG_PB) queue.push(cid)
    }
  }
  find(roots)
  const running = new Set<Promise<void>>()
  try {
    while (queue.length > 0 || running.size > 0) {
      const next = running.size < AT_ONCE ? queue.pop() : undefined
      if (next === undefined) {
        await Promise.race(running)
        continue
      }
      const task = linksBelow(next)
        .then(find)
        .finally(() => running.delete(task))
      running.add(task)
    }
  } finally {
    // After a failure, those that still run.
    await Promise.allSettled(running)
  }
  return found
}

/** @throws {InvalidInputError} It is no UnixFS, or {UnsupportedError} one that is not known. */
export function linksOf(cid: CID, bytes: Uint8Array): CID[] {
  const node = decodeNode(cid, bytes)
  if (node.type === 'symlink') return []
  return (node.type === 'file' ? node.children : node.links).map((link) => link.cid)
}
