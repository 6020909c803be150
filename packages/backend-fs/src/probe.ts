import { lstat, readdir, readFile, statfs } from 'node:fs/promises'
import { join } from 'node:path'

import { BackendError, type StoreStatus } from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { ifThere, onDisk } from './disk-error.ts'
import { createTemp } from './durable-write.ts'
import { FORMAT_VERSION } from './layout.ts'

const PROBE: Uint8Array = new TextEncoder().encode('probe\n')

/** Writes, syncs, reads and removes a small file, or reads one when the store is read-only, and counts what is held. */
export async function probe(context: StoreContext): Promise<StoreStatus> {
  const { layout, readOnly } = context
  const probedAt = new Date().toISOString()
  const clock = performance.now()
  const base = { directory: layout.directory, format: FORMAT_VERSION, readOnly }
  try {
    if (readOnly) await onDisk('probe', readFile(layout.format))
    else await probeWriting(context)
    const probeMs = performance.now() - clock
    const { bavail, bsize } = await onDisk('ask for free space', statfs(layout.directory))
    const roots = await onDisk('count roots', readdir(layout.roots))
    const bytes = (await bytesBelow(layout.files)) + (await bytesBelow(layout.blocks))
    const details = { ...base, roots: roots.length, bytes, freeBytes: bavail * bsize }
    return { name: 'fs', available: true, probedAt, probeMs, details }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    return { name: 'fs', available: false, reason, probedAt, probeMs: performance.now() - clock, details: base }
  }
}

async function probeWriting(context: StoreContext): Promise<void> {
  await context.confirmAbsence()
  const temp = await createTemp(context)
  try {
    await temp.write(PROBE)
    await temp.seal()
    const read = await onDisk('probe', readFile(temp.path))
    if (!read.equals(PROBE)) throw new BackendError('fs: the disk gave back other bytes', { retryable: false })
  } finally {
    await temp.discard()
  }
}

async function bytesBelow(directory: string): Promise<number> {
  let bytes = 0
  for (const shard of await onDisk(`read ${directory}`, readdir(directory))) {
    for (const name of (await ifThere(`read ${directory}`, readdir(join(directory, shard)))) ?? []) {
      bytes += (await ifThere(`look at ${name}`, lstat(join(directory, shard, name))))?.size ?? 0
    }
  }
  return bytes
}
