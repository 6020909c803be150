import { CID } from '@x/cid'

import type { StoreParts } from './block-content-store.ts'
import type { AbortOptions } from './blockstore.ts'
import type { StoreStatus } from './content-store.ts'
import { codeOf } from './error-code.ts'

// The empty raw block. Whether it is there does not matter; that the question is answered does.
const PROBED = CID.parse('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')

/** Asks the blocks and the records something, now. */
export async function probe(
  { name, blocks, records, enter }: StoreParts,
  options: AbortOptions = {},
): Promise<StoreStatus> {
  enter(options)
  const started = performance.now()
  const probed = { name, probedAt: new Date().toISOString() }
  try {
    await blocks.has(PROBED, options)
    const details = {
      roots: await count(records.roots(options)),
      pins: await count(records.pins(options)),
      names: await count(records.names(options)),
    }
    return { ...probed, available: true, probeMs: performance.now() - started, details }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (codeOf(error) !== 'BACKEND') throw error
    const reason = error instanceof Error ? error.message : String(error)
    return { ...probed, available: false, reason, probeMs: performance.now() - started, details: {} }
  }
}

async function count(items: AsyncIterable<unknown>): Promise<number> {
  let total = 0
  const iterator = items[Symbol.asyncIterator]()
  while (!(await iterator.next()).done) total += 1
  return total
}
