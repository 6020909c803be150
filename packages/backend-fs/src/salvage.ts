import { constants } from 'node:fs'
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { IntegrityError, readOutboard, verifyLeaf, type CID, type Outboard } from '@x/cid'

import type { StoreContext } from './context.ts'
import { ifThere } from './disk-error.ts'
import { cidOfKey, keyOf } from './layout.ts'
import { readAt } from './packs/read-pack.ts'
import { plainBytes } from './plain-bytes.ts'

/** What is still sound of files that were put away as damaged, block by block. */
export interface Salvage {
  /** A block, checked now; `undefined` where there is none, or it is what is damaged. */
  get(cid: CID): Promise<Uint8Array | undefined>
}

/** A file in quarantine, and where the blocks of its DAGs lie in it. */
interface PutAway {
  path: string
  nodes: Map<string, Uint8Array>
  leaves: Map<string, { outboard: Outboard; index: number }>
}

/** Of this many files what lies where is remembered; there is hardly ever more than one. */
const REMEMBERED = 4

/**
 * So that one bad leaf of a large file does not mean to fetch all of it again. Packs keep what else is in them, and blocks are
 * one leaf: only files have something to salvage.
 */
export function createSalvage(context: StoreContext): Salvage {
  const { layout } = context
  const known = new Map<string, Promise<PutAway>>()

  const putAwayAs = (name: string, key: string): Promise<PutAway> => {
    const remembered = known.get(name)
    if (remembered) return remembered
    const opening = describe(name, key)
    known.set(name, opening)
    // Whoever waits for it hears of a failure; the next one tries again.
    opening.catch(() => known.delete(name))
    const [oldest] = known.keys()
    if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest)
    return opening
  }

  async function describe(name: string, key: string): Promise<PutAway> {
    const found: PutAway = { path: join(layout.quarantine, name), nodes: new Map(), leaves: new Map() }
    const own = layout.outboardOf(key, key)
    const folder = join(own, '..')
    for (const file of (await ifThere(`list ${folder}`, readdir(folder))) ?? []) {
      if (!file.startsWith(`${key}.`) || !file.endsWith('.obd')) continue
      // `<key>.obd` is of the key's own DAG, `<key>.<root>.obd` of another one over the same bytes.
      const root = cidOfKey(file.slice(0, -'.obd'.length).split('.').at(-1) ?? '')
      const outboard = root && (await soundOutboard(root, join(folder, file)))
      if (!outboard) continue
      for (const [node, bytes] of outboard.nodes) found.nodes.set(node, bytes)
      for (let index = 0; index < outboard.leafCount; index++) {
        found.leaves.set(keyOf(outboard.leaf(index).cid), { outboard, index })
      }
    }
    return found
  }

  return {
    async get(cid) {
      const wanted = keyOf(cid)
      for (const name of (await ifThere('read quarantine', readdir(layout.quarantine))) ?? []) {
        const [key = ''] = name.split('.')
        if (!name.endsWith('.bad') || !cidOfKey(key)) continue
        const { path, nodes, leaves } = await putAwayAs(name, key)
        const node = nodes.get(wanted)
        if (node) return node.slice()
        const leaf = leaves.get(wanted)
        const block = leaf && (await readLeaf(path, leaf.outboard, leaf.index))
        if (block) return block
      }
      return undefined
    },
  }
}

async function soundOutboard(root: CID, path: string): Promise<Outboard | undefined> {
  const encoded = await ifThere(`read ${path}`, readFile(path))
  try {
    return encoded && (await readOutboard(root, plainBytes(encoded)))
  } catch (cause) {
    if (cause instanceof IntegrityError) return undefined
    throw cause
  }
}

async function readLeaf(path: string, outboard: Outboard, index: number): Promise<Uint8Array | undefined> {
  const handle = await ifThere(`open ${path}`, open(path, constants.O_RDONLY))
  if (!handle) return undefined
  try {
    const { offset, length } = outboard.leaf(index)
    const bytes = await readAt(handle, path, offset, length)
    return bytes.length === length ? await verifyLeaf(outboard, index, bytes) : undefined
  } catch (cause) {
    if (cause instanceof IntegrityError) return undefined
    throw cause
  } finally {
    await handle.close()
  }
}
