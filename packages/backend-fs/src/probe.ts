import { readFile, statfs } from 'node:fs/promises'

import { BackendError, type StoreStatus } from '@x/storage-core'

import type { Catalogue } from './catalogue/catalogue.ts'
import type { StoreContext } from './context.ts'
import { onDisk } from './disk-error.ts'
import { createTemp } from './durable-write.ts'
import { FORMAT_VERSION } from './layout.ts'
import { countPartials } from './partials/sweep-partials.ts'

const PROBE: Uint8Array = new TextEncoder().encode('probe\n')

/** Writes, syncs, reads and removes a small file, or reads one when the store is read-only, and counts what is held. */
export async function probe(context: StoreContext, catalogue: Catalogue): Promise<StoreStatus> {
  const { layout, readOnly } = context
  const probedAt = new Date().toISOString()
  const clock = performance.now()
  const base = { directory: layout.directory, format: FORMAT_VERSION, readOnly }
  try {
    if (readOnly) await onDisk('probe', readFile(layout.format))
    else await probeWriting(context)
    const probeMs = performance.now() - clock
    const { bavail, bsize } = await onDisk('ask for free space', statfs(layout.directory))
    const counts = { ...catalogue.counts(), ...(await countPartials(context)) }
    const details = { ...base, ...counts, bytes: catalogue.heldBytes(), freeBytes: bavail * bsize }
    return { name: 'fs', available: true, probedAt, probeMs, details }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    return { name: 'fs', available: false, reason, probedAt, probeMs: performance.now() - clock, details: base }
  }
}

async function probeWriting(context: StoreContext): Promise<void> {
  await context.confirmPresent()
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
