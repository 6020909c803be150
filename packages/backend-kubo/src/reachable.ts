import { DAG_PB, IDENTITY, linksOf, type CID } from '@x/cid'
import { BlockNotFoundError, type AbortOptions } from '@x/storage-core'
import { codeOf, multihashKey } from '@x/storage-core/backend'

import { getHeldBlock, isHeld } from './get-block.ts'
import type { Rpc } from './rpc/rpc.ts'
import { cidOfText, fieldsOf, textOf } from './rpc/values.ts'

const AT_ONCE = 16
/** More leaves than this are looked up in the list of everything that the daemon holds first: to ask for one reads it. */
const ASKED_ONE_BY_ONE = 64
/** How much of that list is read for each: it takes as long as to ask. */
const LISTED_FOR_ONE = 64

/** What walks have found, of DAGs that never change but for what of them is there. */
export interface Reached {
  /** By multihash. */
  found: Map<string, CID>
  /** Nodes that were not there, and may be when they are looked for again. */
  absent: CID[]
}

/**
 * Every block that is reachable from `roots`, by multihash, as far as the daemon holds it. Only what is dag-pb is read;
 * anything else is taken as a leaf.
 *
 * @param options.damaged - What a node needs that is damaged, or hashed in a way not known here, cannot be told: fail, or go
 *   on as if it were a leaf.
 * @param options.known - What earlier walks have found, for more to be added to it: it is not read again.
 * @throws {IntegrityError} A node is damaged.
 * @throws {UnsupportedError} Its hash function is not known.
 */
export async function reachableFrom(
  rpc: Rpc,
  roots: Iterable<CID>,
  { signal, damaged, known }: AbortOptions & { damaged: 'fail' | 'leaf'; known?: Reached },
): Promise<Map<string, CID>> {
  const tolerated = new Set(['INVALID_INPUT', ...(damaged === 'leaf' ? ['INTEGRITY', 'UNSUPPORTED'] : [])])
  const { found, absent } = known ?? { found: new Map<string, CID>(), absent: [] }
  const again = absent.splice(0)
  await walk([...roots, ...again], found, async (cid) => {
    try {
      return linksOf(cid, await getHeldBlock(rpc, cid, { signal }))
    } catch (error) {
      signal?.throwIfAborted()
      const code = codeOf(error) ?? ''
      if (code === 'NOT_FOUND') absent.push(cid)
      else if (!tolerated.has(code)) throw error
      return []
    }
  })
  if (known) for (const cid of absent) found.delete(multihashKey(cid))
  return found
}

/**
 * Resolves when the daemon holds everything below a root. Nodes are read and checked; leaves are looked up.
 *
 * @throws {BlockNotFoundError} A block is not there.
 */
export async function assertHeld(rpc: Rpc, root: CID, { signal }: AbortOptions): Promise<void> {
  const all = new Map<string, CID>()
  await walk([root], all, async (cid) => linksOf(cid, await getHeldBlock(rpc, cid, { signal })))
  const leaves = new Map([...all].filter(([, cid]) => cid.code !== DAG_PB && cid.multihash.code !== IDENTITY))
  if (leaves.size > ASKED_ONE_BY_ONE) await crossOff(rpc, leaves, { signal })
  const cids = [...leaves.values()]
  for (let start = 0; start < cids.length; start += AT_ONCE) {
    const asked = cids.slice(start, start + AT_ONCE)
    const held = await Promise.all(asked.map((cid) => isHeld(rpc, cid, { signal })))
    const missing = asked.find((_, index) => !held[index])
    if (missing) throw new BlockNotFoundError(missing)
  }
}

/** Deletes from `leaves` what is in the beginning of the list of all that the daemon holds. */
async function crossOff(rpc: Rpc, leaves: Map<string, CID>, { signal }: AbortOptions): Promise<void> {
  let most = leaves.size * LISTED_FOR_ONE
  for await (const value of rpc.lines('refs/local', { signal, what: 'list' })) {
    leaves.delete(multihashKey(cidOfText(textOf(fieldsOf(value, 'list'), 'Ref', 'list'), 'list')))
    most -= 1
    if (most === 0 || leaves.size === 0) return
  }
}

/** Adds what is below the roots to `found`. Several nodes at a time. */
async function walk(
  roots: Iterable<CID>,
  found: Map<string, CID>,
  linksBelow: (cid: CID) => Promise<readonly CID[]>,
): Promise<void> {
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
    // After a failure, of which the caller hears, those that still run.
    await Promise.allSettled(running)
  }
}
