import type { HubClient } from '@x/hub-client'
import type { ContentSource } from '@x/storage-core'
import type { ByteSource } from '@x/transfer'

/** Where a model may be. None is trusted: each byte is checked before it is kept. */
export type WebSource =
  /** Knows directories by their CID. */
  | { kind: 'content'; label: string; open: () => Promise<ContentSource> }
  /** Has files by their paths alone. */
  | { kind: 'bytes'; label: string; open: () => ByteSource }
  /** Has models by name. */
  | { kind: 'hub'; label: string; open: () => HubClient }
