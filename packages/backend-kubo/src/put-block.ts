import type { CID } from '@x/cid'
import { BackendError, type AbortOptions } from '@x/storage-core'
import { multihashKey } from '@x/storage-core/backend'

import { importBlocks } from './import-blocks.ts'
import { multipartOf } from './rpc/multipart.ts'
import type { Rpc } from './rpc/rpc.ts'
import { cidOfText, fieldsOf, textOf } from './rpc/values.ts'

/** Hash functions that `block/put` is asked for by name; blocks under others go by `dag/import`. */
const HASH_NAMES: ReadonlyMap<number, string> = new Map([
  [0x12, 'sha2-256'],
  [0x13, 'sha2-512'],
])

/** Puts one block of any size, whose bytes were checked. Where the daemon has it, nothing is written. */
export async function putBlock(rpc: Rpc, cid: CID, bytes: Uint8Array, { signal }: AbortOptions): Promise<void> {
  const what = `put ${cid}`
  const hash = HASH_NAMES.get(cid.multihash.code)
  if (hash === undefined) {
    await importBlocks(rpc, [{ cid, bytes }], { what, signal })
    return
  }
  const query = { 'cid-codec': 'raw', mhtype: hash, 'allow-big-block': true }
  const answer = fieldsOf(await rpc.json('block/put', { query, signal, what }, multipartOf(bytes)), what)
  const actual = cidOfText(textOf(answer, 'Key', what), what)
  if (multihashKey(actual) === multihashKey(cid)) return
  throw new BackendError(`kubo: ${what}: the daemon has stored ${actual} instead`, { retryable: false })
}
