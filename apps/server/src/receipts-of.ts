import type { CacheArea } from '@x/cache'
import type { Block, CID } from '@x/cid'
import { decodeReceipt, type ResultReceipt } from '@x/infer-core'
import { createReceiptMemory, type ReceiptsPort } from '@x/inference-server'
import { isStorageError } from '@x/storage-core'

/** Receipts in memory, the youngest; and those of results that are kept, where they are. */
export function receiptsOf(results: CacheArea | undefined): ReceiptsPort {
  const memory = createReceiptMemory()
  if (results === undefined) return memory
  return {
    keep: (cid, blocks) => memory.keep(cid, blocks),
    async get(cid, options) {
      const blocks = await memory.get(cid, options)
      if (blocks) return blocks
      const found = await results.findValue(cid)
      const entry = found && (await results.get(found.key))
      options.signal?.throwIfAborted()
      if (entry === undefined || entry === 'damaged' || entry.content.kind === 'absent') return undefined
      return namedBy(cid, entry.content.blocks)
    },
  }
}

/** Of the blocks of an entry the receipt's, and those of what it names: others are of use here alone. `undefined`: it is no receipt's. */
function namedBy(cid: CID, blocks: readonly Block[]): readonly Block[] | undefined {
  const own = blocks.find((block) => block.cid.equals(cid))
  const receipt = own && receiptIn(own.bytes)
  if (receipt === undefined) return undefined
  const { input, params, output } = receipt
  return blocks.filter((block) => [cid, input, params, output].some((named) => named.equals(block.cid)))
}

/** Other things are kept beside results, such as what execution providers can do. */
function receiptIn(bytes: Uint8Array): ResultReceipt | undefined {
  try {
    return decodeReceipt(bytes)
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return undefined
    throw error
  }
}
