import { lstat, readdir, rm } from 'node:fs/promises'

import { parseCid, type CID } from '@x/cid'
import { BackendError, type PartialKey } from '@x/storage-core'

import type { StoreContext } from '../context.ts'
import { ifThere, onDisk } from '../disk-error.ts'
import type { DirtyDirectories } from '../durable-write.ts'
import { isObject } from '../json.ts'
import { keyOf } from '../layout.ts'
import { readRecord, writeRecord } from '../record-file.ts'
import { parsePartialName, partialPaths } from './partial-paths.ts'

/** A download that ended well: which root the file has. */
export interface DoneNote {
  root: CID
  /** A collector leaves the root alone, for a while: what it is to become part of is not there yet. */
  isPending: boolean
}

/** As long as a partial file: what was fetched is not fetched again by who goes on within it. */
export const PARTIAL_KEPT_MS: number = 7 * 24 * 60 * 60 * 1000

export async function readNote(context: StoreContext, key: PartialKey): Promise<DoneNote | undefined> {
  const { note } = partialPaths(context.layout, key)
  try {
    return await readRecord(note, parseNote)
  } catch (cause) {
    if (!(cause instanceof BackendError) || context.readOnly) throw cause
    // It says nothing that cannot be found out again.
    context.warn(`${cause.message}; it was removed`)
    await onDisk(`remove ${note}`, rm(note, { force: true }))
    return undefined
  }
}

export async function writeNote(
  context: StoreContext,
  key: PartialKey,
  { root, isPending }: DoneNote,
  dirty: DirtyDirectories,
): Promise<void> {
  await writeRecord(context, partialPaths(context.layout, key).note, { root: keyOf(root), isPending }, dirty)
}

/** Every note, with its age. */
export async function* listNotes(
  context: StoreContext,
): AsyncGenerator<{ key: PartialKey; note: DoneNote; ageMs: number }> {
  const names = await ifThere('read partial files', readdir(context.layout.partials))
  for (const name of names ?? []) {
    const parsed = parsePartialName(name)
    if (parsed?.suffix !== 'json') continue
    const note = await readNote(context, parsed)
    const info = await ifThere(`look at ${name}`, lstat(partialPaths(context.layout, parsed).note))
    if (note && info) yield { key: parsed, note, ageMs: Date.now() - info.mtimeMs }
  }
}

/** Roots that a collector leaves alone, for a download that has not said that it is done. */
export async function* pendingRoots(context: StoreContext): AsyncGenerator<CID> {
  for await (const { note, ageMs } of listNotes(context)) {
    if (note.isPending && ageMs <= PARTIAL_KEPT_MS) yield note.root
  }
}

function parseNote(value: unknown): DoneNote | undefined {
  if (!isObject(value) || typeof value.root !== 'string' || typeof value.isPending !== 'boolean') return undefined
  try {
    return { root: parseCid(value.root), isPending: value.isPending }
  } catch {
    // The caller says that it is damaged.
    return undefined
  }
}
