import { lstat, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { IntegrityError, verify, type CID } from '@x/cid'

import type { StoreContext } from './context.ts'
import { diskError, ifThere, isAbsent, onDisk } from './disk-error.ts'
import { writeWhole, type DirtyDirectories } from './durable-write.ts'
import { cidOfKey, keyOf } from './layout.ts'
import { plainBytes } from './plain-bytes.ts'
import type { Quarantine } from './quarantine.ts'

/** Blocks that are files of their own: directories, symlinks, manifests, and what came block by block. */
export interface LooseBlocks {
  has(cid: CID): Promise<boolean>
  /**
   * Checked bytes; `undefined` when it is not here.
   *
   * @throws {IntegrityError} It is damaged, and in quarantine now.
   */
  get(cid: CID): Promise<Uint8Array | undefined>
  /** Bytes that were checked. Writes nothing when a sound one is there. */
  put(cid: CID, bytes: Uint8Array, dirty: DirtyDirectories): Promise<void>
  /** Resolves to the bytes freed, 0 when it was not there. */
  delete(cid: CID): Promise<number>
  /** Bytes on disk; `undefined` when it is not here. */
  size(cid: CID): Promise<number | undefined>
  list(): AsyncIterable<CID>
}

export function createLooseBlocks(context: StoreContext, quarantine: Quarantine): LooseBlocks {
  const { layout } = context

  const get = async (cid: CID): Promise<Uint8Array | undefined> => {
    const path = layout.blockOf(keyOf(cid))
    const handle = await ifThere(`open ${path}`, open(path, 'r'))
    if (!handle) return undefined
    try {
      const { ino } = await onDisk(`look at ${path}`, handle.stat({ bigint: true }))
      const bytes = plainBytes(await onDisk(`read ${path}`, handle.readFile()))
      await verify(cid, bytes).catch(async (cause: unknown) => {
        if (!(cause instanceof IntegrityError)) throw cause
        const reason = `the block of ${bytes.length} bytes does not match`
        throw await quarantine.condemn({ cid, path, inode: ino, reason, offset: 0, actual: cause.actual, cause })
      })
      return bytes
    } finally {
      await handle.close()
    }
  }

  const size = async (cid: CID): Promise<number | undefined> =>
    (await ifThere(`look at block ${cid}`, lstat(layout.blockOf(keyOf(cid)))))?.size

  return {
    get,
    size,
    has: async (cid) => (await size(cid)) !== undefined,
    put: async (cid, bytes, dirty) => {
      if (!(await isSound(get, cid))) await writeWhole(context, layout.blockOf(keyOf(cid)), bytes, dirty)
      await quarantine.clear(cid)
    },
    delete: async (cid) => {
      const held = await size(cid)
      try {
        await rm(layout.blockOf(keyOf(cid)))
        return held ?? 0
      } catch (cause) {
        if (isAbsent(cause)) return 0
        throw diskError(`delete block ${cid}`, cause)
      }
    },
    list: async function* () {
      for (const shard of await onDisk('list blocks', readdir(layout.blocks))) {
        for (const name of (await ifThere('list blocks', readdir(join(layout.blocks, shard)))) ?? []) {
          const cid = cidOfKey(name)
          if (cid) yield cid
        }
      }
    },
  }
}

/** A damaged one has been moved away by `get` and can be written anew. */
async function isSound(get: LooseBlocks['get'], cid: CID): Promise<boolean> {
  try {
    return (await get(cid)) !== undefined
  } catch (cause) {
    if (cause instanceof IntegrityError) return false
    throw cause
  }
}
