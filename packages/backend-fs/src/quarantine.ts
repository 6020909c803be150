import { lstat, readdir, rename, rm } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'

import { IntegrityError, parseCid, type CID } from '@x/cid'

import type { Catalogue } from './catalogue/catalogue.ts'
import type { StoreContext } from './context.ts'
import { ifThere, onDisk } from './disk-error.ts'
import { createDirtyDirectories } from './durable-write.ts'
import { isObject } from './json.ts'
import { keyOf } from './layout.ts'
import { uniqueName } from './process-identity.ts'
import { readRecord, writeRecord } from './record-file.ts'

/** What was found wrong with a block or with bytes that are held whole. */
export interface Damage {
  /** The block, or the root that was asked for. */
  cid: CID
  /** What the note is filed under: the key of the bytes. */
  key: CID
  /** The block that does not match, when it is another one: a leaf of the file. */
  leaf?: CID | undefined
  /** Where it lay. */
  path: string
  /** The inode that was read: what has replaced it meanwhile stays. */
  inode: bigint
  source: 'store' | 'reference' | 'pack' | 'block'
  /** Where it was read in a pack. */
  start?: number | undefined
  reason: string
  /** Where the bad leaf starts. Bytes. */
  offset?: number | undefined
  actual?: CID | undefined
  cause?: unknown
}

interface OutboardDamage {
  root: CID
  key: CID
  path: string
  reason: string
  offset: number
  cause: unknown
}

interface Note {
  /** The block that does not match. */
  cid: string
  file: string
  offset: number | null
  reason: string
  foundAt: string
  /** The name of the bytes in quarantine; none where they lie among others, in a pack. */
  kept: string | null
}

/**
 * Where damaged bytes go. A note stays behind in their place, so that whoever asks for them hears of the damage, and not
 * that they were never there, until they are added again or removed.
 */
export interface Quarantine {
  /**
   * Puts the bytes away and resolves to the error that the caller throws. A read-only store leaves them in place, and so
   * does every store what lies outside it.
   */
  condemn(damage: Damage): Promise<IntegrityError>
  /**
   * An outboard that is missing or damaged: the bytes are not, and other roots may be over them. `undefined`: it was
   * collected meanwhile.
   */
  condemnOutboard(damage: OutboardDamage): Promise<IntegrityError | undefined>
  /** @throws {IntegrityError} There is a note on it. */
  assertSound(key: CID): Promise<void>
  isDamaged(key: CID): Promise<boolean>
  /** Removes the notes, where there are any. */
  clear(keys: readonly CID[]): Promise<void>
}

export function createQuarantine(context: StoreContext, catalogue: Catalogue): Quarantine {
  const { layout, self } = context

  const putAway = async ({
    cid,
    key,
    leaf = cid,
    path,
    inode,
    source,
    start,
    reason,
    offset,
  }: Damage): Promise<void> => {
    await catalogue.write(`quarantine ${path}`, undefined, async (turn) => {
      const now = await ifThere(`look at ${path}`, lstat(path, { bigint: true }))
      if (now?.ino !== inode) return
      const packed = source === 'pack' ? turn.packed(key) : undefined
      // It may lie somewhere else by now.
      if (source === 'pack' && (packed?.offset !== start || packed?.pack !== basename(path))) return
      const kept = source === 'pack' ? undefined : join(layout.quarantine, `${keyOf(key)}.${uniqueName(self)}.bad`)
      const dirty = createDirtyDirectories()
      const note: Note = {
        cid: leaf.toString(),
        file: relative(layout.directory, path),
        offset: offset ?? null,
        reason,
        foundAt: new Date().toISOString(),
        kept: kept === undefined ? null : basename(kept),
      }
      // The note first: between the two a reader hears of the damage either way.
      await writeRecord(context, layout.noteOf(keyOf(key)), note, dirty)
      if (kept !== undefined) await onDisk(`quarantine ${path}`, rename(path, kept))
      await dirty.sync()
      if (source === 'store') turn.deleteFile(key)
      if (source === 'pack') turn.deletePacked(key)
      context.warn(`quarantined ${note.file}: ${reason}`)
    })
  }

  return {
    condemn: async (damage) => {
      const { cid, leaf = cid, path, offset, actual, reason } = damage
      let where = ''
      if (!context.readOnly && damage.source !== 'reference') {
        try {
          await putAway(damage)
        } catch (failure) {
          // The damage is what the caller must hear of; that it could not be moved is said beside it.
          where = `; it could not be moved to quarantine: ${failure instanceof Error ? failure.message : String(failure)}`
        }
      }
      return new IntegrityError(`fs: ${cid} is damaged: ${reason} in ${path}${where}`, {
        cid: leaf,
        actual,
        file: path,
        offset,
        cause: damage.cause,
      })
    },
    condemnOutboard: async ({ root, key, path, reason, offset, cause }) => {
      let isKnown = true
      if (!context.readOnly) {
        isKnown = await catalogue.write(`quarantine ${path}`, undefined, async (turn) => {
          if (!turn.keyOfRoot(root)?.equals(key.toV1())) return false
          if (!(await ifThere(`look at ${path}`, lstat(path)))) return true
          const kept = join(layout.quarantine, `${keyOf(root)}.${uniqueName(self)}.bad`)
          await onDisk(`quarantine ${path}`, rename(path, kept))
          context.warn(`quarantined ${relative(layout.directory, path)}: ${reason}`)
          return true
        })
      }
      if (!isKnown) return undefined
      const message = `fs: ${root} is damaged: ${reason} in ${path}`
      return new IntegrityError(message, { cid: root, file: path, offset, cause })
    },
    isDamaged: async (key) => (await ifThere('look at a note', lstat(layout.noteOf(keyOf(key))))) !== undefined,
    assertSound: async (key) => {
      const note = await readRecord(layout.noteOf(keyOf(key)), parseNote, key)
      if (!note) return
      throw new IntegrityError(
        `fs: ${key} was damaged: ${note.reason} in ${note.file}; in quarantine since ${note.foundAt}`,
        {
          cid: parseCid(note.cid),
          file: join(layout.directory, note.file),
          offset: note.offset ?? undefined,
        },
      )
    },
    clear: async (keys) => {
      const notes = new Set(await onDisk('read quarantine', readdir(layout.quarantine)))
      if (notes.size === 0) return
      for (const key of keys) {
        if (!notes.has(basename(layout.noteOf(keyOf(key))))) continue
        await onDisk(`clear the note on ${key}`, rm(layout.noteOf(keyOf(key)), { force: true }))
      }
    },
  }
}

function parseNote(value: unknown): Note | undefined {
  if (!isObject(value)) return undefined
  const { cid, file, offset, reason, foundAt, kept } = value
  if (typeof cid !== 'string' || typeof file !== 'string' || typeof reason !== 'string') return undefined
  if (typeof foundAt !== 'string' || (typeof offset !== 'number' && offset !== null)) return undefined
  if (typeof kept !== 'string' && kept !== null) return undefined
  return { cid, file, offset, reason, foundAt, kept }
}
