import { lstat, rename, rm } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'

import { IntegrityError, parseCid, type CID } from '@x/cid'

import type { StoreContext } from './context.ts'
import { ifThere, onDisk } from './disk-error.ts'
import { createDirtyDirectories } from './durable-write.ts'
import { isObject } from './json.ts'
import { keyOf } from './layout.ts'
import { withLock } from './lock.ts'
import { uniqueName } from './process-identity.ts'
import { readRecord, writeRecord } from './record-file.ts'

/** What was found wrong with a block or a whole file. */
export interface Damage {
  /** The block, or the root of the file: what the note is filed under. */
  cid: CID
  /** The block that does not match, when it is another one: a leaf of the file. */
  leaf?: CID | undefined
  /** Where it lay. */
  path: string
  /** The inode that was read: what has replaced it meanwhile stays. */
  inode: bigint
  reason: string
  /** Where the bad leaf starts. Bytes. */
  offset?: number | undefined
  actual?: CID | undefined
  cause?: unknown
}

interface Note {
  /** The block that does not match. */
  cid: string
  file: string
  offset: number | null
  reason: string
  foundAt: string
  kept: string | null
}

/**
 * Where damaged bytes go. A note stays behind in their place, so that whoever asks for them hears of the damage, and not
 * that they were never there, until they are added again or removed.
 */
export interface Quarantine {
  /** Moves the bytes away and resolves to the error that the caller throws. A read-only store leaves them in place. */
  condemn(damage: Damage): Promise<IntegrityError>
  /** @throws {IntegrityError} There is a note on it. */
  assertSound(cid: CID): Promise<void>
  /** Removes the note. */
  clear(cid: CID): Promise<void>
}

const LOCK_WAIT_MS = 10_000

export function createQuarantine(context: StoreContext): Quarantine {
  const { layout, self } = context

  const moveAway = async ({ cid, leaf = cid, path, inode, reason, offset }: Damage): Promise<void> => {
    const now = await ifThere(`look at ${path}`, lstat(path, { bigint: true }))
    if (now?.ino !== inode) return
    const kept = join(layout.quarantine, `${keyOf(cid)}.${uniqueName(self)}.bad`)
    const dirty = createDirtyDirectories()
    const note: Note = {
      cid: leaf.toString(),
      file: relative(layout.directory, path),
      offset: offset ?? null,
      reason,
      foundAt: new Date().toISOString(),
      kept: basename(kept),
    }
    // The note first: between the two a reader hears of the damage either way.
    await writeRecord(context, layout.noteOf(keyOf(cid)), note, dirty)
    await onDisk(`quarantine ${path}`, rename(path, kept))
    await dirty.sync()
    context.warn(`quarantined ${note.file}: ${reason}`)
  }

  return {
    condemn: async (damage) => {
      const { cid, leaf = cid, path, offset, actual, reason } = damage
      let where = ''
      if (!context.readOnly) {
        try {
          await withLock(context, 'quarantine', { waitMs: LOCK_WAIT_MS, purpose: `quarantine ${path}` }, () =>
            moveAway(damage),
          )
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
    assertSound: async (cid) => {
      const note = await readRecord(layout.noteOf(keyOf(cid)), parseNote, cid)
      if (!note) return
      throw new IntegrityError(
        `fs: ${cid} was damaged: ${note.reason} in ${note.file}; in quarantine since ${note.foundAt}`,
        {
          cid: parseCid(note.cid),
          file: join(layout.directory, note.file),
          offset: note.offset ?? undefined,
        },
      )
    },
    clear: async (cid) => {
      await onDisk(`clear the note on ${cid}`, rm(layout.noteOf(keyOf(cid)), { force: true }))
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
