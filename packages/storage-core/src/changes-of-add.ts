import type { AddOptions, AddResult } from './content-store.ts'
import { copyMetadata } from './metadata.ts'
import type { RecordChange, StoredRoot } from './records.ts'

/** What is recorded of a root before it is added. */
export interface RecordedBefore {
  root: StoredRoot | undefined
  /** A pin that is there keeps its time. */
  isPinned: boolean
}

/**
 * What an add changes in the records. A root that was there keeps its CID, its time and, where none is given, its metadata.
 */
export function changesOfAdd(
  { cid, type, size }: AddResult,
  { root, isPinned }: RecordedBefore,
  { name, metadata, pin = true }: Pick<AddOptions, 'name' | 'metadata' | 'pin'>,
): RecordChange[] {
  const now = new Date().toISOString()
  const record = {
    cid: root?.cid ?? cid,
    type,
    size,
    addedAt: root?.addedAt ?? now,
    metadata: metadata ?? root?.metadata ?? copyMetadata(),
  }
  const changes: RecordChange[] = [{ type: 'put-root', record }]
  if (pin && !isPinned) changes.push({ type: 'put-pin', record: { cid, pinnedAt: now } })
  if (name !== undefined) {
    changes.push({ type: 'put-name', record: { name, cid, metadata: metadata ?? copyMetadata(), updatedAt: now } })
  }
  return changes
}
