import { DAG_PB, IntegrityError, parseCid, RAW, type CID } from '@x/cid'
import { NotFoundError, type Blockstore } from '@x/storage-core'

import type { Catalogue } from './catalogue/catalogue.ts'
import type { StoreContext } from './context.ts'
import { dagParts } from './dag-parts.ts'
import type { HeldFiles } from './held-file.ts'
import type { Tree } from './tree.ts'

export interface PinParts {
  blocks: Blockstore
  catalogue: Catalogue
  held: HeldFiles
  tree: Tree
}

export interface Pins {
  /** Whether every part of the DAG is held. What is damaged is not. */
  isComplete(root: CID, signal: AbortSignal | undefined): Promise<boolean>
  pin(root: CID, signal: AbortSignal | undefined): Promise<void>
}

/** A pin is a record; making one walks directories and outboards, and reads no file. */
export function createPins(context: StoreContext, { blocks, catalogue, held, tree }: PinParts): Pins {
  const walk = async (root: CID, signal: AbortSignal | undefined): Promise<void> => {
    for await (const _ of dagParts(blocks, held, root, { signal })) signal?.throwIfAborted()
  }
  return {
    isComplete: async (root, signal) => {
      try {
        await walk(root, signal)
        return true
      } catch (cause) {
        if (cause instanceof NotFoundError || cause instanceof IntegrityError) return false
        throw cause
      }
    },
    pin: async (root, signal) => {
      context.assertWritable(`pin ${root}`)
      // Else it could not be read back.
      parseCid(root.toString())
      await context.confirmPresent()
      for (let isPinned = false; !isPinned;) {
        const swept = catalogue.swept()
        await walk(root, signal)
        const info = isContent(root) && !catalogue.root(root) ? await tree.stat(root, { signal }) : undefined
        isPinned = await catalogue.write(`pin ${root}`, signal, (turn) => {
          // A collector may have taken what was seen a moment ago.
          if (turn.swept() !== swept) return false
          const now = new Date().toISOString()
          if (!turn.pin(root)) turn.change({ type: 'put-pin', record: { cid: root, pinnedAt: now } })
          if (info && !turn.root(root)) {
            // A root's size is that of files, as `add` counts it.
            const size = info.type === 'symlink' ? 0 : info.size
            const record = { cid: root, type: info.type, size, addedAt: now, metadata: {} }
            turn.change({ type: 'put-root', record })
          }
          return true
        })
      }
    },
  }
}

/** A dag-cbor block can be pinned, and is no file or directory. */
const isContent = (cid: CID): boolean => cid.code === RAW || cid.code === DAG_PB
