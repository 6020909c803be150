import { readFile, rm } from 'node:fs/promises'

import { buildFile, IntegrityError, type BuildFileOptions, type BuiltFile, type CID } from '@x/cid'

import type { StoreContext } from './context.ts'
import { ifThere, onDisk } from './disk-error.ts'
import { createTemp, writeWhole, type DirtyDirectories, type TempFile } from './durable-write.ts'
import type { HeldFiles } from './held-file.ts'
import { keyOf } from './layout.ts'
import { encodeOutboard, type Outboard } from './outboard.ts'
import type { Quarantine } from './quarantine.ts'

export interface FileWriter {
  /** For the files of one add. */
  begin(): StagedFiles
  /**
   * Publishes a file that was written and hashed. A sound one that is held already stays, and so do the paths and views
   * that show it.
   */
  publish(file: WrittenFile, dirty: DirtyDirectories, signal?: AbortSignal): Promise<void>
}

/** Files that are written, hashed and synced one after another, and published together or not at all. */
interface StagedFiles {
  /** Takes one file in a single pass over its bytes. One that is held and sound is not kept twice. */
  add(pieces: AsyncIterable<Uint8Array>, options: BuildFileOptions): Promise<BuiltFile>
  publish(dirty: DirtyDirectories, signal?: AbortSignal): Promise<void>
  /** Removes what was not published. */
  discard(): Promise<void>
}

interface WrittenFile {
  cid: CID
  temp: TempFile
  /** Its distinct interior nodes, children before parents. */
  nodes: Iterable<Uint8Array>
}

export function createFileWriter(
  context: StoreContext,
  held: HeldFiles,
  quarantine: Quarantine,
  onPublished: (outboard: Outboard) => Promise<void>,
): FileWriter {
  const { layout } = context

  /** One that is there and right stays; a file of one leaf has none. */
  const placeOutboard = async (path: string, nodes: readonly Uint8Array[], dirty: DirtyDirectories): Promise<void> => {
    if (nodes.length === 0) return onDisk('remove a stray outboard', rm(path, { force: true }))
    const encoded = encodeOutboard(nodes)
    const there = await ifThere(`read ${path}`, readFile(path))
    if (there === undefined || Buffer.compare(there, encoded) !== 0) await writeWhole(context, path, encoded, dirty)
  }

  const publish: FileWriter['publish'] = async ({ cid, temp, nodes }, dirty, signal) => {
    const key = keyOf(cid)
    const isHeld = await isHeldSound(held, cid, signal)
    if (!isHeld) await temp.seal()
    // The outboard goes first: a file is there from the moment its bytes are, and then a reader needs both.
    await placeOutboard(layout.outboardOf(key), [...nodes], dirty)
    if (!isHeld) await temp.publish(layout.fileOf(key), dirty)
    await quarantine.clear(cid)
    const outboard = await held.outboardOf(cid)
    if (outboard) await onPublished(outboard)
  }

  const begin = (): StagedFiles => {
    const staged = new Map<string, WrittenFile>()
    const stage = async (file: WrittenFile, signal: AbortSignal | undefined): Promise<void> => {
      const key = keyOf(file.cid)
      if (staged.has(key)) return
      if (await isHeldSound(held, file.cid, signal)) return quarantine.clear(file.cid)
      // Closes it as well, so that a directory of many files needs no handle for each.
      await file.temp.seal()
      staged.set(key, file)
    }
    return {
      add: async (pieces, options) => {
        const temp = await createTemp(context)
        let isStaged = false
        try {
          const { built, nodes } = await writeAndHash(pieces, options, temp)
          options.signal?.throwIfAborted()
          await stage({ cid: built.cid, temp, nodes: [...nodes] }, options.signal)
          isStaged = staged.get(keyOf(built.cid))?.temp === temp
          return built
        } finally {
          if (!isStaged) await temp.discard()
        }
      },
      publish: async (dirty, signal) => {
        for (const file of staged.values()) await publish(file, dirty, signal)
      },
      discard: async () => {
        for (const { temp } of staged.values()) await temp.discard()
      },
    }
  }

  return { publish, begin }
}

async function writeAndHash(
  pieces: AsyncIterable<Uint8Array>,
  options: BuildFileOptions,
  temp: TempFile,
): Promise<{ built: BuiltFile; nodes: Iterable<Uint8Array> }> {
  const nodes = new Map<string, Uint8Array>()
  let writing = Promise.resolve()
  const built = await buildFile(pieces, {
    ...options,
    // The chunk is hashed while it is written; it may be reused once its leaf has been announced, so that waits.
    onChunk: (chunk) => {
      writing = temp.write(chunk)
      writing.catch(() => undefined)
    },
    onBlock: async (block) => {
      await writing
      if (block.kind === 'node') nodes.set(block.cid.toString(), block.bytes)
    },
  })
  return { built, nodes: nodes.values() }
}

/** Whether a file is held and every leaf of it matches. A damaged one has been moved away and can be written anew. */
async function isHeldSound(held: HeldFiles, cid: CID, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    const file = await held.open(cid)
    if (!file) return false
    try {
      for (const leaf of file.outboard.leaves) {
        signal?.throwIfAborted()
        await file.readLeaf(leaf)
      }
    } finally {
      await file.close()
    }
    return true
  } catch (cause) {
    if (cause instanceof IntegrityError) return false
    throw cause
  }
}
