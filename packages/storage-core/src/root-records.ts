import { type CID } from '@x/cid'

import type { StoreParts } from './block-content-store.ts'
import { blockKey } from './block-key.ts'
import type { AbortOptions } from './blockstore.ts'
import type { ContentReader } from './content-reader.ts'
import type { ContentStore, PinRecord, RootRecord } from './content-store.ts'
import { codeOf } from './error-code.ts'
import { copyMetadata } from './metadata.ts'
import type { RecordChange } from './records.ts'

export interface RootRecords {
  readonly methods: Pick<ContentStore, 'pin' | 'unpin' | 'pins' | 'roots'>
  /** What makes `cid` a root, if it can be one and is none yet. */
  changesForRoot: (cid: CID, options: AbortOptions) => Promise<RecordChange[]>
}

/** What of a store it needs. */
export interface RootRecordsParts extends Pick<StoreParts, 'records' | 'enter' | 'alone'> {
  keeper: Pick<StoreParts['keeper'], 'adopt'>
}

export function createRootRecords(
  parts: RootRecordsParts,
  reader: Pick<ContentReader, 'stat' | 'blocksOf'>,
): RootRecords {
  const { records, keeper, enter, alone } = parts

  async function changesForRoot(cid: CID, options: AbortOptions): Promise<RecordChange[]> {
    if (await records.root(cid, options)) return []
    try {
      const { type, size } = await reader.stat(cid, options)
      const record = {
        cid,
        type,
        // A root's size is that of files, as `add` counts it.
        size: type === 'symlink' ? 0 : size,
        addedAt: new Date().toISOString(),
        metadata: copyMetadata(),
      }
      return [{ type: 'put-root', record }]
    } catch (error) {
      const code = codeOf(error)
      // Not held, or not UnixFS: it can be named, but is no root.
      if (code === 'NOT_FOUND' || code === 'UNSUPPORTED' || code === 'INVALID_INPUT') return []
      throw error
    }
  }

  async function pin(root: CID, options: AbortOptions = {}): Promise<void> {
    enter(options)
    await alone(async () => {
      enter(options)
      const blocks = await reader.blocksOf(root, options)
      const changes = await changesForRoot(root, options)
      if (!(await records.pin(root, options))) {
        changes.push({ type: 'put-pin', record: { cid: root, pinnedAt: new Date().toISOString() } })
      }
      await records.commit(changes, options)
      keeper.adopt(blocks.map(blockKey))
    }, options.signal)
  }

  async function unpin(root: CID, options: AbortOptions = {}): Promise<void> {
    enter(options)
    await alone(async () => {
      enter(options)
      await records.commit([{ type: 'delete-pin', cid: root }], options)
    }, options.signal)
  }

  async function* pins(options: AbortOptions = {}): AsyncGenerator<PinRecord> {
    enter(options)
    for await (const record of records.pins(options)) {
      yield record
      enter(options)
    }
  }

  async function* roots(options: AbortOptions = {}): AsyncGenerator<RootRecord> {
    enter(options)
    const pinned = new Set<string>()
    for await (const { cid } of records.pins(options)) pinned.add(blockKey(cid))
    const names = new Map<string, string[]>()
    for await (const { name, cid } of records.names(options)) {
      const key = blockKey(cid)
      names.set(key, [...(names.get(key) ?? []), name])
    }
    for await (const record of records.roots(options)) {
      const key = blockKey(record.cid)
      yield { ...record, pinned: pinned.has(key), names: names.get(key) ?? [] }
      enter(options)
    }
  }

  return { methods: { pin, unpin, pins, roots }, changesForRoot }
}
