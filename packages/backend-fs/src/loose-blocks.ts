import { lstat, open, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { IntegrityError, verify, type CID } from '@x/cid'

import type { PlaceReader } from './catalogue/places.ts'
import { listed } from './catalogue/scan.ts'
import type { StoreContext } from './context.ts'
import { diskError, ifThere, isAbsent, onDisk } from './disk-error.ts'
import { writeWhole, type DirtyDirectories } from './durable-write.ts'
import { cidOfKey, keyOf } from './layout.ts'
import type { OpenFiles } from './open-files.ts'
import { readAt } from './packs/read-pack.ts'
import { plainBytes } from './plain-bytes.ts'
import type { Damage, Quarantine } from './quarantine.ts'

/** Blocks that are no part of a file held whole: files of their own when they came one by one, else in packs. */
export interface LooseBlocks {
  has(cid: CID): Promise<boolean>
  /**
   * Checked bytes; `undefined` when it is not here.
   *
   * @throws {IntegrityError} It is damaged, and in quarantine now.
   */
  get(cid: CID): Promise<Uint8Array | undefined>
  /** Bytes that were checked, as a file of its own. Writes nothing when a sound one is there. */
  put(cid: CID, bytes: Uint8Array, dirty: DirtyDirectories): Promise<void>
  /** Removes the file of its own. Resolves to the bytes freed, 0 when it was not there. */
  delete(cid: CID): Promise<number>
  /** Bytes of the file of its own; `undefined` when there is none. */
  size(cid: CID): Promise<number | undefined>
  /** Those that are files of their own. */
  list(): AsyncIterable<CID>
}

export interface LooseParts {
  places: PlaceReader
  files: OpenFiles
  quarantine: Quarantine
}

export function createLooseBlocks(context: StoreContext, { places, files, quarantine }: LooseParts): LooseBlocks {
  const { layout } = context

  const fromFile = async (cid: CID): Promise<Uint8Array | undefined> => {
    const path = layout.blockOf(keyOf(cid))
    const handle = await ifThere(`open ${path}`, open(path, 'r'))
    if (!handle) return undefined
    try {
      const { ino } = await onDisk(`look at ${path}`, handle.stat({ bigint: true }))
      const bytes = plainBytes(await onDisk(`read ${path}`, handle.readFile()))
      return await checked(cid, bytes, { path, inode: ino, source: 'block' })
    } finally {
      await handle.close()
    }
  }

  const fromPack = async (cid: CID): Promise<Uint8Array | undefined> => {
    for (let isRetry = false; ; isRetry = true) {
      const place = places.packed(cid)
      if (!place) return undefined
      const path = layout.packOf(place.pack)
      const pack = await files.open(path, true)
      // A collector may have moved what was in the pack to another one.
      if (!pack && isRetry) return undefined
      if (!pack) continue
      try {
        const bytes = await readAt(pack.handle, path, place.offset, place.length)
        return await checked(cid, bytes, { path, inode: pack.info.ino, source: 'pack', start: place.offset })
      } finally {
        pack.release()
      }
    }
  }

  const checked = async (
    cid: CID,
    bytes: Uint8Array,
    where: Pick<Damage, 'path' | 'inode' | 'source' | 'start'>,
  ): Promise<Uint8Array> => {
    try {
      await verify(cid, bytes)
      return bytes
    } catch (cause) {
      if (!(cause instanceof IntegrityError)) throw cause
      const reason = `the block of ${bytes.length} bytes does not match`
      throw await quarantine.condemn({ cid, key: cid, reason, offset: 0, actual: cause.actual, cause, ...where })
    }
  }

  const size = async (cid: CID): Promise<number | undefined> =>
    (await ifThere(`look at block ${cid}`, lstat(layout.blockOf(keyOf(cid)))))?.size

  const get = async (cid: CID): Promise<Uint8Array | undefined> => (await fromPack(cid)) ?? fromFile(cid)

  return {
    get,
    size,
    has: async (cid) => {
      const place = places.packed(cid)
      const pack = place && (await files.open(layout.packOf(place.pack), true))
      pack?.release()
      if (pack) return true
      return (await size(cid)) !== undefined
    },
    put: async (cid, bytes, dirty) => {
      // One in a pack goes when what it was added with goes.
      const path = layout.blockOf(keyOf(cid))
      if (!(await isSound(fromFile, cid))) await writeWhole(context, path, bytes, dirty)
      // Whoever has just written it may not have synced its name yet.
      else dirty.add(dirname(path))
      await quarantine.clear([cid])
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
      for (const shard of await listed(context, layout.blocks)) {
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
