import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readFile, rename, rm, writeFile, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

import { parseCid } from '@x/cid'
import { BackendError, type RecordChange, type StoredRoot } from '@x/storage-core'

import { ifThere, onDisk } from '../disk-error.ts'
import { syncDirectory } from '../durable-write.ts'
import { isMetadata, isObject } from '../json.ts'

/**
 * The truth about roots, pins and names: a file that is only appended to, one commit a line, synced before the commit is
 * acknowledged. The index can be lost and made from it.
 *
 *   ipfs-accelerate journal 1 <id>
 *   <16 hexadecimal digits of the SHA-256 of what follows> <JSON array of changes>
 *
 * A line that was cut off by a crash does not match its digest, and was not acknowledged.
 */
export interface Journal {
  readonly id: string
  /** Bytes that hold whole lines; what follows was cut off. */
  readonly end: number
  readonly commits: readonly RecordChange[][]
  /** Lines before the last that do not match their digest: their changes are lost. */
  readonly damaged: number
}

const PREFIX = 'ipfs-accelerate journal 1 '

/** Ends the id of a journal that was begun when an earlier one was lost: what was pinned is not known. */
const LOST = '-lost'

export const isOfLost = ({ id }: { id: string }): boolean => id.endsWith(LOST)

/**
 * Wraps the failure that the caller hears of: the commit may be in the journal, for it was written, and could neither be
 * synced nor taken back.
 */
export class UndecidedCommit extends Error {
  override readonly name = 'UndecidedCommit'
  constructor(cause: unknown) {
    super('it may be in the journal', { cause })
  }
}

/** How far a journal was read or written. */
export interface JournalPosition {
  id: string
  end: number
}

/**
 * Reads what was written since.
 *
 * @param known - Where an earlier reading ended; without it, or when the journal is another one by now, all is read.
 * @returns `undefined` when there is none.
 * @throws {BackendError} It is of another version, or cannot be read.
 */
export async function readJournal(path: string, known?: JournalPosition): Promise<Journal | undefined> {
  const bytes = await ifThere(`read ${path}`, readFile(path))
  if (bytes === undefined) return undefined
  const headEnd = bytes.indexOf(0x0a) + 1
  const head = bytes.toString('latin1', 0, Math.max(0, headEnd - 1))
  const isOther = /^ipfs-accelerate journal (?!1 )/.test(head)
  if (isOther) throw new BackendError(`fs: ${path} is not a journal of this version`, { retryable: false })
  // What does not say what it is says nothing.
  if (!head.startsWith(PREFIX)) return undefined
  const id = head.slice(PREFIX.length)
  const isKnown = known?.id === id && known.end >= headEnd && known.end <= bytes.length
  let position = isKnown ? known.end : headEnd
  let end = position
  let damaged = 0
  let unread = 0
  const commits: RecordChange[][] = []
  while (position < bytes.length) {
    const lineEnd = bytes.indexOf(0x0a, position)
    if (lineEnd === -1) break
    const changes = parseLine(bytes.toString('utf8', position, lineEnd))
    position = lineEnd + 1
    if (!changes) {
      unread += 1
      continue
    }
    // Damage that is followed by a sound line is no cut-off end.
    damaged += unread
    unread = 0
    commits.push(changes)
    end = position
  }
  // A last line that is whole and does not match may be one that was acknowledged, and the index does not know of it.
  if (!isKnown) damaged += unread
  return { id, end, commits, damaged }
}

/**
 * Appends one commit at `end` and syncs it. What lies beyond was cut off, and goes. Only one may write at a time.
 *
 * @returns Where the next commit begins.
 */
export async function appendToJournal(path: string, end: number, changes: readonly RecordChange[]): Promise<number> {
  const line = Buffer.from(encodeLine(changes))
  // Not `a`: the file must be there, and what was cut off is written over.
  const handle = await onDisk(`write ${path}`, open(path, constants.O_WRONLY))
  try {
    const { size } = await onDisk(`look at ${path}`, handle.stat())
    if (size > end) await onDisk(`cut ${path}`, handle.truncate(end))
    try {
      await writeAll(handle, path, line, end)
      await onDisk(`sync ${path}`, handle.datasync())
    } catch (cause) {
      // Half a line is no commit, and a whole one that could not be synced must not become one.
      await takeBack(cause, () => cut(handle, end))
      throw cause
    }
    return end + line.length
  } finally {
    await closeQuietly(handle)
  }
}

/**
 * Takes back what `appendToJournal` wrote after `end`, because of `cause`.
 *
 * @throws {UndecidedCommit} It is there still, or may be.
 */
export async function cutJournal(path: string, end: number, cause: unknown): Promise<void> {
  await takeBack(cause, async () => {
    const handle = await open(path, constants.O_WRONLY)
    try {
      await cut(handle, end)
    } finally {
      await closeQuietly(handle)
    }
  })
}

/** Without the sync a power cut could bring back what was cut off. */
async function cut(handle: FileHandle, end: number): Promise<void> {
  await handle.truncate(end)
  await handle.datasync()
}

/** What it holds was synced, or is not relied on: whether the commit is there does not depend on how the file closes. */
async function closeQuietly(handle: FileHandle): Promise<void> {
  await handle.close().catch(() => undefined)
}

async function takeBack(cause: unknown, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch {
    // What went wrong first is what the caller hears of.
    throw new UndecidedCommit(cause)
  }
}

/**
 * Writes a whole journal in the place of what is there.
 *
 * @param options.isLost - See `isOfLost`.
 * @throws {UndecidedCommit} It has its name already.
 */
export async function replaceJournal(
  path: string,
  temp: string,
  changes: Iterable<RecordChange>,
  { isLost }: { isLost: boolean },
): Promise<JournalPosition> {
  const id = `${randomBytes(8).toString('hex')}${isLost ? LOST : ''}`
  const lines = [`${PREFIX}${id}\n`]
  for (const change of changes) lines.push(encodeLine([change]))
  const bytes = Buffer.from(lines.join(''))
  try {
    await onDisk(`write ${temp}`, writeFile(temp, bytes, { flag: 'wx', flush: true }))
    await onDisk(`replace ${path}`, rename(temp, path))
  } catch (cause) {
    // Where it stays it is swept once this process has gone.
    await rm(temp, { force: true }).catch(() => undefined)
    throw cause
  }
  try {
    await syncDirectory(dirname(path))
  } catch (cause) {
    throw new UndecidedCommit(cause)
  }
  return { id, end: bytes.length }
}

async function writeAll(handle: FileHandle, path: string, bytes: Uint8Array, at: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const writing = handle.write(bytes, written, bytes.length - written, at + written)
    written += (await onDisk(`write ${path}`, writing)).bytesWritten
  }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)

function encodeLine(changes: readonly RecordChange[]): string {
  const json = JSON.stringify(changes.map(encodeChange))
  return `${digestOf(json)} ${json}\n`
}

/** A CID is written as its text, in the version it was given. */
function encodeChange(change: RecordChange): object {
  if (change.type === 'delete-name') return { type: change.type, name: change.name }
  if (change.type === 'delete-root' || change.type === 'delete-pin') {
    return { type: change.type, cid: change.cid.toString() }
  }
  if (change.type === 'put-root') {
    const { cid, type: contentType, ...rest } = change.record
    return { type: change.type, cid: cid.toString(), contentType, ...rest }
  }
  const { cid, ...rest } = change.record
  return { type: change.type, ...rest, cid: cid.toString() }
}

function parseLine(line: string): RecordChange[] | undefined {
  const json = line.slice(17)
  if (line[16] !== ' ' || line.slice(0, 16) !== digestOf(json)) return undefined
  try {
    return parseChanges(JSON.parse(json))
  } catch {
    // No JSON, or a CID that is none.
    return undefined
  }
}

function parseChanges(value: unknown): RecordChange[] | undefined {
  if (!Array.isArray(value)) return undefined
  const changes = value.map(parseChange)
  return changes.every((change) => change !== undefined) ? changes : undefined
}

function parseChange(value: unknown): RecordChange | undefined {
  if (!isObject(value)) return undefined
  const { type, cid, name, metadata } = value
  if (type === 'delete-name') return typeof name === 'string' ? { type, name } : undefined
  if (typeof cid !== 'string') return undefined
  const parsed = parseCid(cid)
  if (type === 'delete-root' || type === 'delete-pin') return { type, cid: parsed }
  if (type === 'put-pin') {
    const { pinnedAt } = value
    return typeof pinnedAt === 'string' ? { type, record: { cid: parsed, pinnedAt } } : undefined
  }
  if (!isMetadata(metadata)) return undefined
  if (type === 'put-name') {
    const { updatedAt } = value
    if (typeof name !== 'string' || typeof updatedAt !== 'string') return undefined
    return { type, record: { name, cid: parsed, metadata, updatedAt } }
  }
  const { contentType, size, addedAt } = value
  return type === 'put-root' ? parseRoot({ contentType, size, addedAt }, { cid: parsed, metadata }) : undefined
}

function parseRoot(
  { contentType, size, addedAt }: Record<'contentType' | 'size' | 'addedAt', unknown>,
  rest: Pick<StoredRoot, 'cid' | 'metadata'>,
): RecordChange | undefined {
  if (contentType !== 'file' && contentType !== 'directory' && contentType !== 'symlink') return undefined
  if (typeof size !== 'number' || typeof addedAt !== 'string') return undefined
  return { type: 'put-root', record: { type: contentType, size, addedAt, ...rest } }
}
