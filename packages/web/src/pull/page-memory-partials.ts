import type { CID } from '@x/cid'
import { openMemoryPartials, type ContentStore, type PartialStore } from '@x/storage-core'

import { isAmong } from './is-among.ts'

/**
 * Partial files in the page's memory, each of its whole size, where no files can be written. Nothing of them is there the next time: a download that was
 * given up leaves no files in the store either, for nobody would know of them.
 */
export function openPageMemoryPartials(store: ContentStore): PartialStore {
  const inner = openMemoryPartials(store)
  const brought: CID[] = []

  /** What has it by now keeps it; by itself it is no root. */
  async function release(): Promise<void> {
    await inner.release()
    for (const root of brought.splice(0)) if (!(await isAmong(store.names.list(), root))) await store.remove(root)
  }

  return {
    ...inner,
    async open(key, options) {
      const partial = await inner.open(key, options)
      if ('held' in partial) return partial
      return {
        ...partial,
        async commit(outboard, commitOptions) {
          const wasThere = await isAmong(store.roots(), outboard.root)
          await partial.commit(outboard, commitOptions)
          if (!wasThere) brought.push(outboard.root)
        },
      }
    },
    release,
    async close() {
      await release()
      await inner.close()
    },
  }
}
