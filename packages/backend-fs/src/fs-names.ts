import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { parseCid } from '@x/cid'
import {
  assertName,
  BackendError,
  ConflictError,
  type AbortOptions,
  type NameRecord,
  type Names,
} from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { onDisk } from './disk-error.ts'
import { createDirtyDirectories, syncDirectory } from './durable-write.ts'
import { assertMetadata, isMetadata, isObject } from './json.ts'
import { keyOf } from './layout.ts'
import { withLease } from './lease.ts'
import { withLock } from './lock.ts'
import { readRecord, writeRecord } from './record-file.ts'

const LOCK_WAIT_MS = 30_000

/** Names, one record each. A lock between processes makes comparing and setting one step. */
export function createFsNames(context: StoreContext): Names {
  const { layout } = context

  const start = ({ signal }: AbortOptions): void => {
    context.assertOpen()
    signal?.throwIfAborted()
  }

  const read = async (name: string): Promise<NameRecord | undefined> => {
    const record = await readRecord(layout.nameOf(name), parseNameRecord)
    if (!record) return undefined
    if (record.name === name) return record
    throw new BackendError(`fs: the record of name ${JSON.stringify(name)} is that of another`, { retryable: false })
  }

  const exclusively = <T>(name: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> =>
    // The lease keeps a collector from freeing what is about to be named.
    withLease(context, `name ${JSON.stringify(name)}`, signal, () =>
      withLock(context, 'names', { waitMs: LOCK_WAIT_MS, purpose: `name ${JSON.stringify(name)}`, signal }, work),
    )

  return {
    get: async (name, options = {}) => {
      start(options)
      assertName(name)
      const record = await read(name)
      if (!record) await context.confirmAbsence()
      return record
    },
    set: async (name, cid, options = {}) => {
      start(options)
      assertName(name)
      const { expected, metadata = {}, signal } = options
      assertMetadata(metadata)
      context.assertWritable(`set name ${name}`)
      return exclusively(name, signal, async () => {
        if (expected !== undefined) assertExpected(name, await read(name), expected)
        const record = { name, cid, metadata, updatedAt: new Date().toISOString() }
        const dirty = createDirtyDirectories()
        await writeRecord(context, layout.nameOf(name), { ...record, cid: cid.toString() }, dirty)
        await dirty.sync()
        return record
      })
    },
    delete: async (name, options = {}) => {
      start(options)
      assertName(name)
      context.assertWritable(`delete name ${name}`)
      await exclusively(name, options.signal, async () => {
        if (options.expected !== undefined) assertExpected(name, await read(name), options.expected)
        await onDisk(`delete name ${name}`, rm(layout.nameOf(name), { force: true }))
        await syncDirectory(layout.names)
      })
    },
    list: async function* (options = {}) {
      start(options)
      const records: NameRecord[] = []
      for (const file of await onDisk('list names', readdir(layout.names))) {
        options.signal?.throwIfAborted()
        const record = file.endsWith('.json') ? await readRecord(join(layout.names, file), parseNameRecord) : undefined
        if (record?.name.startsWith(options.prefix ?? '')) records.push(record)
      }
      yield* records.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    },
  }
}

function assertExpected(name: string, record: NameRecord | undefined, expected: NameRecord['cid'] | null): void {
  const asExpected = expected === null ? !record : record !== undefined && keyOf(record.cid) === keyOf(expected)
  if (asExpected) return
  const found = record ? `points to ${record.cid}` : 'is free'
  const wanted = expected === null ? 'to be free' : `to point to ${expected}`
  throw new ConflictError(`name ${JSON.stringify(name)} ${found}; it was expected ${wanted}`, { current: record?.cid })
}

function parseNameRecord(value: unknown): NameRecord | undefined {
  if (!isObject(value)) return undefined
  const { name, cid, metadata, updatedAt } = value
  if (typeof name !== 'string' || typeof cid !== 'string' || typeof updatedAt !== 'string') return undefined
  if (!isMetadata(metadata)) return undefined
  return { name, cid: parseCid(cid), metadata, updatedAt }
}
