import { IDENTITY, type Block, type CID } from '@x/cid'
import { BackendError } from '@x/storage-core'
import type { AbortOptions } from '@x/storage-core'
import { multihashKey } from '@x/storage-core/backend'

import { carHeader, sectionHead } from './car-frame.ts'
import type { Rpc } from './rpc/rpc.ts'
import { fieldsOf, linkOf } from './rpc/values.ts'

export interface BlockImportOptions extends AbortOptions {
  what: string
  /** Hold the daemon's lock against collections until the roots are pinned. */
  pin: boolean
}

/** One `dag/import` that is being written. */
export interface BlockImport {
  /** The bytes may be used again when it resolves. */
  put(block: Block): Promise<void>
  /** Ends it. All blocks are there when it resolves, and the roots are pinned if that was asked for. */
  finish(roots: readonly CID[]): Promise<void>
  /** Stops the daemon's work on it. Blocks that it has taken stay. */
  destroy(): void
}

// go-car takes sections of 8 MiB.
export const MAX_IMPORTED_BYTES: number = 8 * 1024 * 1024 - 1024

/**
 * Streams blocks into a daemon as they are made, when their root is not known yet: `dag/import` takes several CARs at
 * once and pins the roots of all their headers at its end, under one lock against collections. The first CAR here names
 * no root and has the blocks; the second names the roots and has none.
 *
 * @see https://github.com/ipfs/kubo/blob/v0.43.0/core/commands/dag/import.go
 */
export async function startImport(rpc: Rpc, { what, pin, signal }: BlockImportOptions): Promise<BlockImport> {
  const query = { 'pin-roots': pin, 'allow-big-block': true }
  const upload = rpc.upload('dag/import', { query, signal, what })
  const start = async (roots: readonly CID[]): Promise<void> => {
    await upload.begin()
    await upload.write(await carHeader(roots))
  }
  try {
    await start([])
  } catch (error) {
    upload.destroy()
    throw error
  }
  return {
    async put({ cid, bytes }) {
      // An inline block is nowhere but in its CID.
      if (cid.multihash.code === IDENTITY) return
      await upload.write(sectionHead(cid, bytes.length))
      await upload.write(bytes)
    },
    async finish(roots) {
      if (roots.length > 0) await start(roots)
      const values = await upload.finish()
      if (pin) assertPinned(roots, values, what)
    },
    destroy: () => upload.destroy(),
  }
}

/** Imports blocks that are there, and pins the roots if there are any. */
export async function importBlocks(
  rpc: Rpc,
  blocks: Iterable<Block>,
  { what, roots = [], signal }: AbortOptions & { what: string; roots?: readonly CID[] },
): Promise<void> {
  const started = await startImport(rpc, { what, pin: roots.length > 0, signal })
  try {
    for (const block of blocks) await started.put(block)
    await started.finish(roots)
  } catch (error) {
    started.destroy()
    throw error
  }
}

function assertPinned(roots: readonly CID[], values: readonly unknown[], what: string): void {
  const pinned = new Set<string>()
  for (const value of values) {
    const { Root: root } = fieldsOf(value, what)
    if (root === undefined || root === null) continue
    const fields = fieldsOf(root, what)
    const cid = linkOf(fields['Cid'], what)
    const { PinErrorMsg: error } = fields
    if (typeof error === 'string' && error !== '') {
      throw new BackendError(`kubo: ${what}: ${cid} could not be pinned: ${error}`, { retryable: true })
    }
    pinned.add(multihashKey(cid))
  }
  const missing = roots.find((root) => !pinned.has(multihashKey(root)))
  if (missing) {
    throw new BackendError(`kubo: ${what}: the daemon does not say that it pinned ${missing}`, { retryable: true })
  }
}
