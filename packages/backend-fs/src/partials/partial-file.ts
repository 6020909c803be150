import { chmod, lstat, open, readFile, rename, rm, writeFile, type FileHandle } from 'node:fs/promises'

import { InvalidInputError, type Outboard } from '@x/cid'
import { BackendError, type AbortOptions, type PartialFile, type PartialKey, type PartialSpan } from '@x/storage-core'

import type { StoreContext } from '../context.ts'
import { ifThere, onDisk } from '../disk-error.ts'
import { moveInto, syncDirectory, type TempFile } from '../durable-write.ts'
import { readAt } from '../packs/read-pack.ts'
import { checkSpans } from './check-spans.ts'
import { partialPaths, type PartialPaths } from './partial-paths.ts'
import { coveredBytes, decodeEntries, encodeEntry, encodeHead, ENTRY_BYTES, HEAD_BYTES } from './progress-log.ts'

/** Where a power cut may take what was not synced, it takes little more. Bytes. */
const SYNC_EVERY_BYTES = 64 * 1024 * 1024

export interface OpenedPartial extends PartialFile {
  /** The file as what an add publishes: it is moved, and stays where it is when the add fails. */
  asTemp(): TempFile
}

/**
 * Opens the file of a download and its log, or makes them. To be called by who owns it.
 *
 * @param publish - Takes the whole file into the store.
 * @param onEnd - Called once, when it is closed in whatever way.
 */
export async function openPartialFile(
  context: StoreContext,
  key: PartialKey,
  {
    signal,
    publish,
    onEnd,
  }: AbortOptions & {
    publish: (file: OpenedPartial, outboard: Outboard, options: AbortOptions) => Promise<void>
    onEnd: () => Promise<void>
  },
): Promise<OpenedPartial> {
  const paths = partialPaths(context.layout, key)
  const bytes = await openBytes(paths.bytes)
  let log: FileHandle | undefined
  let spans: PartialSpan[]
  let recorded: Map<number, PartialSpan>
  try {
    const { spans: known, isClean } = await readLog(paths, key)
    const { size: fileBytes } = await onDisk(`look at ${paths.bytes}`, bytes.stat())
    spans = await checkSpans(known, { descriptor: bytes.fd, path: paths.bytes, fileBytes, signal })
    recorded = new Map(spans.map((span) => [span.offset, span]))
    if (!isClean || spans.length < known.length) await rewriteLog(paths, key, spans)
    log = await onDisk(`open ${paths.log}`, open(paths.log, 'r+'))
    await syncDirectory(context.layout.partials)
  } catch (cause) {
    await log?.close()
    await bytes.close()
    throw cause
  }
  let end = HEAD_BYTES + spans.length * ENTRY_BYTES
  let isOver = false
  let unsynced = 0
  let syncing: Promise<void> | undefined
  /** The system tells of bytes that could not be written once. */
  let lost: { cause: unknown } | undefined
  const openLog = log

  const assertOpen = (): void => {
    context.assertOpen()
    if (isOver) throw new BackendError(`fs: the download ${key.id} was closed`, { retryable: false })
    if (lost) throw lost.cause
  }

  let isBytesOpen = true
  const closeBytes = async (): Promise<void> => {
    if (!isBytesOpen) return
    isBytesOpen = false
    await onDisk(`close ${paths.bytes}`, bytes.close())
  }

  const closeHandles = async (): Promise<void> => {
    await syncing
    await onDisk(`close ${paths.log}`, openLog.close())
    await closeBytes()
  }

  const finish = async (rest: () => Promise<void>): Promise<void> => {
    if (isOver) return
    isOver = true
    try {
      await closeHandles()
      await rest()
    } finally {
      await onEnd()
    }
  }

  const syncNow = async (): Promise<void> => {
    try {
      await onDisk(`sync ${paths.bytes}`, bytes.datasync())
    } catch (cause) {
      lost ??= { cause }
      throw cause
    }
  }

  const syncSoon = (written: number): void => {
    unsynced += written
    if (syncing || unsynced < SYNC_EVERY_BYTES) return
    unsynced = 0
    syncing = syncNow()
      // Remembered, and thrown by the next call.
      .catch(() => undefined)
      .finally(() => (syncing = undefined))
  }

  const removeAll = async (): Promise<void> => {
    await onDisk(`remove ${paths.log}`, rm(paths.log, { force: true }))
    await onDisk(`remove ${paths.bytes}`, rm(paths.bytes, { force: true }))
  }

  const file: OpenedPartial = {
    key,
    spans,
    read: async (offset, length) => {
      assertOpen()
      return readAt(bytes, paths.bytes, offset, length)
    },
    write: async (span, given) => {
      assertOpen()
      if (given.length !== span.length || span.offset + span.length > key.size) {
        throw new InvalidInputError(`${given.length} bytes at ${span.offset} are none of ${key.id}`, { input: key.id })
      }
      await writeAt(bytes, given, span.offset)
      assertOpen()
      const at = end
      end += ENTRY_BYTES
      await writeAt(openLog, encodeEntry(span), at)
      recorded.set(span.offset, { ...span, sha256: span.sha256.slice() })
      syncSoon(given.length)
    },
    clear: async () => {
      assertOpen()
      await onDisk(`empty ${paths.log}`, openLog.truncate(HEAD_BYTES))
      await onDisk(`empty ${paths.bytes}`, bytes.truncate(0))
      end = HEAD_BYTES
      recorded.clear()
    },
    commit: async (outboard, options = {}) => {
      assertOpen()
      assertWhole(key, outboard, [...recorded.values()])
      await syncing
      if (key.size === 0) await onDisk(`empty ${paths.bytes}`, bytes.truncate(0))
      await publish(file, outboard, options)
      await finish(removeAll)
    },
    discard: () => finish(removeAll),
    close: () => finish(async () => undefined),
    asTemp: () => ({
      path: paths.bytes,
      descriptor: bytes.fd,
      write: (given) => writeAt(bytes, given, 0),
      sync: syncNow,
      seal: async () => {
        await onDisk(`set ${paths.bytes} read-only`, bytes.chmod(0o444))
        await syncNow()
        // Windows renames no file that is open.
        if (process.platform === 'win32') await closeBytes()
      },
      publish: async (target, dirty) => {
        await moveInto(paths.bytes, target, dirty)
        dirty.add(context.layout.partials)
      },
      takeBack: async (target) => onDisk(`take ${target} back`, rename(target, paths.bytes)),
      discard: async () => undefined,
    }),
  }
  return file
}

async function openBytes(path: string): Promise<FileHandle> {
  // A commit that failed has left it read-only.
  if (await ifThere(`look at ${path}`, lstat(path))) await onDisk(`set ${path} writable`, chmod(path, 0o644))
  const there = await ifThere(`open ${path}`, open(path, 'r+'))
  return there ?? onDisk(`make ${path}`, open(path, 'wx+', 0o644))
}

/** @returns What it says, and whether more can be written behind it. */
async function readLog(
  { log }: PartialPaths,
  { id, size }: PartialKey,
): Promise<{ spans: PartialSpan[]; isClean: boolean }> {
  const bytes = await ifThere(`read ${log}`, readFile(log))
  if (!bytes || Buffer.compare(bytes.subarray(0, HEAD_BYTES), encodeHead(id, size)) !== 0) {
    return { spans: [], isClean: false }
  }
  const spans = decodeEntries(bytes.subarray(HEAD_BYTES), size)
  return { spans, isClean: bytes.length === HEAD_BYTES + spans.length * ENTRY_BYTES }
}

/** Under another name first: a process that dies in here must not lose what was recorded. */
async function rewriteLog(
  { log }: PartialPaths,
  { id, size }: PartialKey,
  spans: readonly PartialSpan[],
): Promise<void> {
  const half = `${log}.new`
  await onDisk(`write ${half}`, writeFile(half, Buffer.concat([encodeHead(id, size), ...spans.map(encodeEntry)])))
  await onDisk(`rename ${half}`, rename(half, log))
}

async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const writing = handle.write(bytes, written, bytes.length - written, position + written)
    written += (await onDisk('write a download', writing)).bytesWritten
  }
}

/** A mistake of the caller's must not become a file with holes. */
function assertWhole(key: PartialKey, outboard: Outboard, spans: PartialSpan[]): void {
  const covered = coveredBytes(spans.toSorted((a, b) => a.offset - b.offset))
  if (covered === key.size && outboard.fileBytes === key.size) return
  throw new InvalidInputError(`${covered} bytes of the ${key.size} of ${key.id} are there`, { input: key.id })
}
