import type { CID } from '@x/cid'
import { BackendError, type AbortOptions } from '@x/storage-core'

import type { Rpc } from './rpc/rpc.ts'
import { fieldsOf, notKubo } from './rpc/values.ts'

/** Deletes a block. `false`: the daemon says that it is pinned, and it stays. */
export async function removeBlock(rpc: Rpc, cid: CID, { signal }: AbortOptions): Promise<boolean> {
  const what = `delete ${cid}`
  const options = { args: [cid.toString()], query: { force: true }, patient: true, signal, what }
  for await (const value of rpc.lines('block/rm', options)) {
    const { Error: error = '' } = fieldsOf(value, what)
    if (typeof error !== 'string') throw notKubo(what, 'an error that is no text')
    if (error === '') continue
    if (error.startsWith('pinned')) return false
    throw new BackendError(`kubo: ${what}: ${error}`, { retryable: false })
  }
  return true
}
