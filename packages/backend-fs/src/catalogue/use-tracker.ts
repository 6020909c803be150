import type { CID } from '@x/cid'

import type { StoreContext } from '../context.ts'
import type { Catalogue } from './catalogue.ts'
import { keyBytes } from './records.ts'

/** Remembers when roots were last read, for a quota to remove those first that nobody reads. */
export interface UseTracker {
  note(root: CID): void
  /** Notes the last ones, unless another process writes for long. */
  end(): Promise<void>
}

// It orders roots by their use; a minute more or less does not matter, and a read must not cost a write.
const FLUSH_MS = 60_000
/** Nobody waits longer to close a store. */
const END_MS = 500

export function createUseTracker(context: StoreContext, catalogue: Catalogue): UseTracker {
  const uses = new Map<string, { key: Uint8Array; usedMs: number }>()
  let timer: NodeJS.Timeout | undefined

  const flush = async (signal?: AbortSignal): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    const noted = [...uses.values()]
    uses.clear()
    if (noted.length === 0 || context.readOnly) return
    try {
      await catalogue.write('note what was read', signal, (turn) => {
        for (const { key, usedMs } of noted) turn.setUsed(key, usedMs)
      })
    } catch (cause) {
      // Nothing is lost but the order in which roots would make room.
      context.warn(`what was read could not be noted: ${cause instanceof Error ? cause.message : String(cause)}`)
    }
  }

  return {
    end: () => flush(AbortSignal.timeout(END_MS)),
    note: (root) => {
      uses.set(root.toString(), { key: keyBytes(root), usedMs: Date.now() })
      if (timer) return
      timer = setTimeout(() => void flush(), FLUSH_MS)
      timer.unref()
    },
  }
}
