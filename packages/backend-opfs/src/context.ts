import type { AbortOptions } from '@x/storage-core'

import type { Room } from './room.ts'
import type { Uses } from './uses.ts'
import type { Vault } from './vault.ts'

/** What the parts of an open store share. */
export interface StoreContext {
  readonly name: string
  readonly vault: Vault
  /** Start of every call. */
  enter: (options?: AbortOptions) => void
  /** Start of every call that writes. @throws {UnsupportedError} The store was opened to be read. */
  enterWriting: (options?: AbortOptions) => void
  /** One after another: whatever changes the index. */
  alone: <T>(task: () => Promise<T>, signal?: AbortSignal) => Promise<T>
  /** Blocks that must not be collected now, by key, and for how many callers. */
  readonly busy: Map<string, number>
  /** Blocks that are being collected now, by key. Still there for a moment, they do not count as held. */
  readonly doomed: Set<string>
  /** For what is written. */
  readonly room: Room
  readonly uses: Uses
}
