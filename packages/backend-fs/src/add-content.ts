import { profileOf } from '@x/cid'
import {
  assertExpected,
  assertName,
  buildSource,
  startReceipt,
  toSourceNode,
  type AddOptions,
  type AddResult,
  type AddSource,
} from '@x/storage-core'

import type { AddMode } from './adding/large-file.ts'
import { createStagedAdd, type StagedAddParts } from './adding/staged-add.ts'
import type { Turn } from './catalogue/catalogue.ts'
import type { StoreContext } from './context.ts'
import { assertMetadata } from './json.ts'
import { withLease } from './lease.ts'
import type { Quota } from './quota.ts'
import { stoppableNode } from './stoppable-node.ts'
import { sharedPool } from './workers/worker-pool.ts'

export interface AddParts extends StagedAddParts {
  quota: Quota
}

export interface FsAddOptions extends AddOptions {
  /**
   * For files on this machine's disk, as `pathSource` gives them. `copy` keeps a copy. `reflink` keeps a clone that shares
   * its bytes with the original until one of them changes, and is refused where the file system has no such thing.
   * `reference` leaves the file where it is: it is never changed or deleted, and refused once it is not what it was.
   * Default `copy`.
   */
  mode?: AddMode | undefined
}

/** Small files are read many at a time; of large ones each has all threads. */
export const FILES_AT_ONCE = 512

/**
 * Whether there may be files for the threads to read, which take longer to start than it takes to find the first. What is
 * expected comes from elsewhere.
 */
const isOnDisk = (source: AddSource): boolean =>
  'type' in source && (source.type === 'directory' || ('localPath' in source && source.localPath !== undefined))

/**
 * Writes and hashes everything under temporary names, and syncs it. Then, in one turn, gives it its names and records
 * root, pin and name. Whatever fails, the store is as it was.
 */
export async function addContent(
  context: StoreContext,
  parts: AddParts,
  source: AddSource,
  options: FsAddOptions,
): Promise<AddResult> {
  const { name, metadata = {}, profile, expected, pin = true, mode = 'copy', signal, onProgress, onReceipt } = options
  if (name !== undefined) assertName(name)
  assertMetadata(metadata)
  profileOf(profile)
  signal?.throwIfAborted()
  context.assertWritable('add')
  await context.confirmPresent()
  const finish = startReceipt('add', 'fs')
  const { catalogue, quota } = parts

  const result = await withLease(context, catalogue, async (lease) => {
    if (isOnDisk(source) && expected === undefined) sharedPool().start()
    const staged = createStagedAdd(context, parts, { mode, lease })
    try {
      const { cid, type, size } = await buildSource(
        signal ? stoppableNode(toSourceNode(source)) : toSourceNode(source),
        {
          profile,
          signal,
          onProgress,
          filesAtOnce: FILES_AT_ONCE,
          buildOneFile: (file, fileOptions) => staged.addFile(file, fileOptions),
          onBlock: (block) => staged.addBlock(block),
        },
      )
      signal?.throwIfAborted()
      assertExpected(cid, expected)
      await staged.seal()
      await quota.makeRoom(staged.bytes(), signal)
      await catalogue.write('add', signal, async (turn) => {
        quota.assertRoom(turn, staged.bytes())
        await staged.publish(turn)
        signal?.throwIfAborted()
        record(turn, { cid, type, size })
      })
      return { cid, type, size }
    } finally {
      await staged.discard()
    }
  })
  onReceipt?.(finish({ cid: result.cid, bytes: result.size, verified: 'each-leaf' }))
  return result

  function record(turn: Turn, { cid, type, size }: AddResult): void {
    const now = new Date().toISOString()
    const before = turn.root(cid)
    const kept = options.metadata ?? before?.metadata ?? {}
    turn.change({ type: 'put-root', record: { cid, type, size, addedAt: before?.addedAt ?? now, metadata: kept } })
    if (pin && !turn.pin(cid)) turn.change({ type: 'put-pin', record: { cid, pinnedAt: now } })
    if (name !== undefined) turn.change({ type: 'put-name', record: { name, cid, metadata, updatedAt: now } })
  }
}
