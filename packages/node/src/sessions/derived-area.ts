import { createHash, randomUUID } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { copyFile, link, mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { absentAsUndefined, isAbsent } from '../absent.ts'
import { codeOf } from '../code-of.ts'

/** A file of an entry, as it was when the entry was made. */
interface RecordedFile {
  size: number
  /** Hex. */
  sha256: string
  /** Size, time of the last write and inode; while they stand, the bytes are taken for the same. */
  stamp: string
}

/** What lies beside derived files and says what they have to be. */
interface EntryRecord<T> {
  about: T
  files: Record<string, RecordedFile>
}

interface Entry<T> {
  /** Its directory. */
  at: string
  record: EntryRecord<T>
}

interface FindOptions {
  verify: 'stored' | 'each-open'
  /** Whether a file was checked already, under another name. Default: none was. */
  isChecked?: ((path: string) => Promise<boolean>) | undefined
}

interface Filled<T> {
  about: T
  known?: Readonly<Record<string, string>> | undefined
}

/**
 * Files that were made out of others, and can be made again: whoever deletes them loses time alone. An entry is a directory
 * that appears all at once, with a record of what is in it; what does not match its record is not used.
 */
export interface DerivedArea {
  readonly directory: string
  /** The entry's directory and record, every file checked; `undefined` when it is not there or not right any more. */
  find<T>(kind: string, key: string, options: FindOptions): Promise<Entry<T> | undefined>
  /**
   * Makes an entry all at once. Of two that do so at the same time the first stays.
   *
   * @param fill - Writes the files. What it knows the SHA-256 of, in hex by name, is not hashed.
   */
  make<T>(kind: string, key: string, fill: (at: string) => Promise<Filled<T>>): Promise<Entry<T>>
  discard(kind: string, key: string): Promise<void>
  /** Removes the entries that were used the longest ago, until all take no more than `maxBytes`. */
  sweep(maxBytes: number, keep: readonly string[]): Promise<void>
  /** What all entries take that has no other name. Bytes. */
  bytes(): Promise<number>
  /**
   * Removes the entries that were made of what is gone.
   *
   * @param isHeld - Asked of each of `about.roots`, the CIDs of what an entry was made of. One that names none goes.
   */
  retain(isHeld: (root: string) => Promise<boolean>): Promise<void>
  /** What `retain` would free. Bytes. */
  bytesWithout(isHeld: (root: string) => Promise<boolean>): Promise<number>
}

/** Where it lies in a store. */
export const DERIVED = 'derived'
const RECORD = 'record.json'
/** Left by processes that were killed while they made one. */
const TEMP = 'making-'
const ABANDONED_AFTER_MS = 24 * 60 * 60 * 1000

export function createDerivedArea(directory: string): DerivedArea {
  const placeOf = (kind: string, key: string): string => join(directory, kind, key)

  async function remove(at: string): Promise<void> {
    const away = join(directory, `${TEMP}${randomUUID()}`)
    try {
      await rename(at, away)
    } catch (error) {
      if (isAbsent(error)) return
      throw error
    }
    await rm(away, { recursive: true, force: true })
  }

  return {
    directory,
    async find<T>(kind: string, key: string, { verify, isChecked }: FindOptions) {
      const at = placeOf(kind, key)
      const record = await readRecord<T>(at)
      if (record === undefined) return undefined
      for (const [name, recorded] of Object.entries(record.files)) {
        if (await isChecked?.(join(at, name))) continue
        if (!(await isAsRecorded(join(at, name), recorded, verify))) {
          await remove(at)
          return undefined
        }
      }
      // When it was last used, for `sweep`.
      const now = new Date()
      await utimes(join(at, RECORD), now, now)
      return { at, record }
    },
    async make<T>(kind: string, key: string, fill: (at: string) => Promise<Filled<T>>) {
      const at = placeOf(kind, key)
      await mkdir(dirname(at), { recursive: true })
      const temp = join(directory, `${TEMP}${randomUUID()}`)
      await mkdir(temp)
      try {
        const { about, known = {} } = await fill(temp)
        const files: Record<string, RecordedFile> = {}
        for (const name of await readdir(temp)) {
          await syncFile(join(temp, name))
          files[name] = await recordOf(join(temp, name), known[name])
        }
        const record: EntryRecord<T> = { about, files }
        await writeFile(join(temp, RECORD), JSON.stringify(record), { flag: 'wx', flush: true })
        try {
          await rename(temp, at)
          return { at, record }
        } catch (error) {
          if (!isTaken(error)) throw error
          const other = await readRecord<T>(at)
          if (other) return { at, record: other }
          // Without a record that can be read, what is there is none.
          await remove(at)
          await rename(temp, at)
          return { at, record }
        }
      } finally {
        await rm(temp, { recursive: true, force: true })
      }
    },
    discard: (kind, key) => remove(placeOf(kind, key)),
    async sweep(maxBytes, keep) {
      const entries = await Promise.all((await entriesIn(directory)).map(weigh))
      let bytes = total(entries)
      for (const entry of entries.toSorted((a, b) => a.usedMs - b.usedMs)) {
        if (bytes <= maxBytes) return
        if (keep.includes(entry.at)) continue
        await remove(entry.at)
        bytes -= entry.bytes
      }
    },
    bytes: async () => total(await Promise.all((await entriesIn(directory)).map(weigh))),
    async retain(isHeld) {
      for (const at of await entriesIn(directory)) if (!(await isOfHeld(at, isHeld))) await remove(at)
    },
    async bytesWithout(isHeld) {
      let bytes = 0
      for (const at of await entriesIn(directory, { isDryRun: true }))
        if (!(await isOfHeld(at, isHeld))) bytes += (await weigh(at)).bytes
      return bytes
    },
  }
}

async function isOfHeld(at: string, isHeld: (root: string) => Promise<boolean>): Promise<boolean> {
  const roots = rootsOf((await readRecord(at))?.about)
  const held = await Promise.all(roots.map(isHeld))
  return roots.length > 0 && !held.includes(false)
}

/** The directories of all entries. What killed processes left half made goes. */
async function entriesIn(directory: string, { isDryRun = false } = {}): Promise<string[]> {
  const entries: string[] = []
  for (const kind of await namesIn(directory)) {
    const at = join(directory, kind)
    if (kind.startsWith(TEMP)) {
      const info = isDryRun ? undefined : await stat(at).catch(absentAsUndefined)
      if (info && Date.now() - info.mtimeMs > ABANDONED_AFTER_MS) await rm(at, { recursive: true, force: true })
    } else entries.push(...(await namesIn(at)).map((key) => join(at, key)))
  }
  return entries
}

const total = (entries: readonly { bytes: number }[]): number => entries.reduce((sum, { bytes }) => sum + bytes, 0)

function rootsOf(about: unknown): string[] {
  if (typeof about !== 'object' || about === null || !('roots' in about) || !Array.isArray(about.roots)) return []
  return about.roots.map(String)
}

/**
 * Gives a file a second name, or a clone where the file system has them; never a copy.
 *
 * @throws The error of the link, where neither can be had.
 */
export async function linkOrClone(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    try {
      await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL)
    } catch {
      // What kept the link from being made says more.
      throw error
    }
  }
}

/** As the store's own: while it stays the same, nobody wrote to the file, short of setting the time back. */
async function stampOf(path: string): Promise<string> {
  const { size, mtimeNs, ino, dev } = await stat(path, { bigint: true })
  return [size, mtimeNs, dev, ino].join(' ')
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(piece)
  return hash.digest('hex')
}

async function recordOf(path: string, sha256: string | undefined): Promise<RecordedFile> {
  const stamp = await stampOf(path)
  const { size } = await stat(path)
  return { size, sha256: sha256 ?? (await sha256Of(path)), stamp }
}

/** By its stamp, else by its bytes: a link that was made or taken elsewhere changes the stamp alone. */
async function isAsRecorded(path: string, recorded: RecordedFile, verify: 'stored' | 'each-open'): Promise<boolean> {
  try {
    if (verify === 'stored' && (await stampOf(path)) === recorded.stamp) return true
    return (await stat(path)).size === recorded.size && (await sha256Of(path)) === recorded.sha256
  } catch (error) {
    if (isAbsent(error)) return false
    throw error
  }
}

async function readRecord<T>(at: string): Promise<EntryRecord<T> | undefined> {
  try {
    const record: EntryRecord<T> | null = JSON.parse(await readFile(join(at, RECORD), 'utf8'))
    return typeof record?.files === 'object' && record.files !== null ? record : undefined
  } catch (error) {
    // Half of one is as good as none: it is made anew.
    if (isAbsent(error) || error instanceof SyntaxError) return undefined
    throw error
  }
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function weigh(at: string): Promise<{ at: string; bytes: number; usedMs: number }> {
  let bytes = 0
  for (const name of await namesIn(at)) {
    const info = await stat(join(at, name)).catch(absentAsUndefined)
    // What has another name too takes nothing here.
    if (info && info.nlink === 1) bytes += info.size
  }
  const used = await stat(join(at, RECORD)).catch(absentAsUndefined)
  return { at, bytes, usedMs: used?.mtimeMs ?? 0 }
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}

const isTaken = (error: unknown): boolean => ['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(String(codeOf(error)))
