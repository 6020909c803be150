import { buildOutboard, profileOf, type Block, type BuildFileOptions, type BuiltFile } from '@x/cid'
import {
  assertExpected,
  assertName,
  buildSource,
  copyMetadata,
  startReceipt,
  toSourceNode,
  type AddOptions,
  type AddResult,
  type AddSource,
  type FileSource,
} from '@x/storage-core'
import { blockKey, changesOfAdd, measureHeld, type HeldFileReader } from '@x/storage-core/backend'

import type { Change } from './change.ts'
import type { StoreContext } from './context.ts'
import { createHold } from './hold.ts'
import { findDamaged, stillNew } from './keep-new.ts'
import { createStaging, entriesOf, type StagedFile, type Staging } from './staging.ts'

// Smaller files share a data file with directories.
const PACKED_BYTES = 64 * 1024

export interface OwnAddOptions extends AddOptions {
  /** Called when all is hashed, before it becomes visible: who is in another tab may have stopped it meanwhile. */
  beforeCommit?: (() => Promise<void>) | undefined
}

/**
 * Writes and hashes everything in data files that nobody sees; then one frame of the index makes all of it true. Whatever
 * fails, the store is as it was.
 */
export async function addContent(
  context: StoreContext,
  source: AddSource,
  options: OwnAddOptions = {},
): Promise<AddResult> {
  const { name, metadata: given, profile, expected, onProgress, onReceipt, beforeCommit, signal } = options
  const { vault, enter, enterWriting, alone, busy, doomed, room, uses } = context
  enterWriting(options)
  // All that the caller may have got wrong is found before anything is read.
  if (name !== undefined) assertName(name)
  const metadata = given === undefined ? undefined : copyMetadata(given)
  profileOf(profile)
  const finish = startReceipt('add', context.name)
  const staging = createStaging(vault, room)
  const hold = createHold(busy)
  const held: HeldFileReader = {
    async keep(cid) {
      const key = blockKey(cid)
      hold.add(key)
      // Looked at in the moment in which it is marked: a collection that begins later leaves it alone.
      return !doomed.has(key) && vault.catalogue.blocks.has(key)
    },
    getBlock: (cid) => vault.block(cid),
  }
  try {
    const { cid, type, size } = await buildSource(toSourceNode(source), {
      profile,
      signal,
      onProgress,
      onBlock: (block) => staging.addBlock(block),
      async buildOneFile(file, fileOptions) {
        const linked = file.held && (await measureHeld(held, file.held, { signal }))
        if (linked) fileOptions.onProgress?.(linked.fileBytes)
        return linked ?? stageFile(staging, file, fileOptions)
      },
    })
    assertExpected(cid, expected)
    const result: AddResult = { cid, type, size }
    const all = await staging.seal()
    const damaged = await findDamaged(vault, all)
    await beforeCommit?.()
    signal?.throwIfAborted()
    const publish = async (): Promise<void> => {
      enter({ signal })
      const entries = stillNew(vault, all, damaged)
      const drops = entries.replaced.map((id): Change => ({ type: 'drop', id }))
      const { records } = vault.catalogue
      const root = await records.root(cid)
      const isPinned = (await records.pin(cid)) !== undefined
      const changes = changesOfAdd(result, { root, isPinned }, { ...options, metadata })
      await vault.commit([
        ...entriesOf(entries),
        ...drops,
        ...changes.map((change): Change => ({ type: 'record', change })),
      ])
      await vault.sweep(entries.replaced)
    }
    // Each turn anew: what makes room may take what was held.
    await room.find(0, size, () => alone(publish, signal))
    await uses.note(cid)
    onReceipt?.(finish({ cid, bytes: size, verified: 'each-leaf' }))
    return result
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    hold.release()
    await staging.discard()
  }
}

/** A long file gets a data file of its own, a short one goes into the pack. */
async function stageFile(staging: Staging, source: FileSource, options: BuildFileOptions): Promise<BuiltFile> {
  let file: StagedFile | undefined
  let pieces: Uint8Array[] = []
  let held = 0
  const blocks: Block[] = []
  const { signal } = options
  const built = await buildOutboard(source.open({ signal }), {
    ...options,
    async onChunk(chunk) {
      if (file) return file.write(chunk)
      held += chunk.length
      // A leaf's memory may be used again.
      if (held <= PACKED_BYTES) return void pieces.push(chunk.slice())
      file = await staging.beginFile()
      for (const piece of pieces) await file.write(piece)
      pieces = []
      blocks.length = 0
      await file.write(chunk)
    },
    onBlock({ cid, bytes }) {
      if (!file) blocks.push({ cid, bytes: bytes.slice() })
    },
  })
  if (file) await file.end(built.cid, built.outboard)
  else for (const block of blocks) await staging.addBlock(block)
  return built
}
