import { IntegrityError, RAW, type Block, type CID } from '@x/cid'

import type { Catalogue } from '../catalogue/catalogue.ts'
import type { HeldFiles } from '../held-file.ts'
import { keyOf } from '../layout.ts'
import type { LooseBlocks } from '../loose-blocks.ts'
import { placesOf } from '../part-places.ts'
import { isHeldSound } from '../verify-held.ts'

/** What the store has of blocks that are put. */
export interface HeldBlocks {
  /** Those that are not held, or damaged. The others are safe from a collector while the lease lasts. */
  missingFrom(blocks: readonly Block[]): Promise<Block[]>
}

export interface HeldBlocksParts {
  catalogue: Catalogue
  held: HeldFiles
  loose: LooseBlocks
}

/** Where a block lies, as the index says. */
type Held =
  | { block: Block; how: 'packed' | 'loose'; key: CID }
  /** Inside a file that is held whole. */
  | { block: Block; how: 'part'; key: CID; root: CID }

export function createHeldBlocks(
  { catalogue, held, loose }: HeldBlocksParts,
  { lease, signal }: { lease: string; signal: AbortSignal | undefined },
): HeldBlocks {
  /** By root. Where one leaf is damaged the file goes, and all of its blocks with it; so it is checked as a whole, once. */
  const sound = new Map<string, Promise<boolean>>()

  const isFileSound = (root: CID): Promise<boolean> => {
    const known = sound.get(keyOf(root))
    if (known) return known
    const asked = isHeldSound(() => held.open(root), { signal })
    sound.set(keyOf(root), asked)
    return asked
  }

  const find = async (block: Block): Promise<Held | undefined> => {
    const { cid } = block
    if (catalogue.packed(cid)) return { block, how: 'packed', key: cid }
    if ((await loose.size(cid)) !== undefined) return { block, how: 'loose', key: cid }
    for (const { root } of placesOf(catalogue, cid)) {
      const key = root.code === RAW ? root : catalogue.keyOfRoot(root)
      if (!key) continue
      const file = catalogue.file(key)
      // What was left where the user has it can change.
      if (file ? file.path === undefined : catalogue.packed(key)) return { block, how: 'part', key, root }
    }
    return undefined
  }

  const isSound = async (found: Held): Promise<boolean> => {
    if (found.how === 'part') return isFileSound(found.root)
    try {
      return (await loose.get(found.key)) !== undefined
    } catch (cause) {
      if (cause instanceof IntegrityError) return false
      throw cause
    }
  }

  return {
    missingFrom: async (blocks) => {
      const found = await Promise.all(blocks.map(find))
      const known = found.filter((one) => one !== undefined)
      if (known.length === 0) return [...blocks]
      // First kept, then looked at: what is sound now must be there when the caller relies on it.
      const onHold = await catalogue.write('keep what is put', signal, (turn) =>
        known.map(({ key, how }) => turn.hold(key, lease, how === 'loose')),
      )
      const there = new Set<Block>()
      for (const [index, one] of known.entries()) {
        signal?.throwIfAborted()
        if (onHold[index] && (await isSound(one))) there.add(one.block)
      }
      return blocks.filter((block) => !there.has(block))
    },
  }
}
