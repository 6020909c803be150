import type { AbortOptions } from '@x/storage-core'
import type { CreateHasher, DownloadEvent, DownloadProgress, DownloadReceipt } from '@x/transfer'

import type { Naming } from '../give-name.ts'
import type { CreateSha256 } from '../sha256.ts'

/** Of every way to bring a model here. */
export interface PullModelOptions extends AbortOptions, Naming {
  /** Keep the model from `gc`. Default true. */
  pin?: boolean | undefined
  /** Of all sources together. Default: no limit. */
  maxBytesPerSecond?: number | undefined
  /** Longest wait for the next bytes of a source. Milliseconds. Default 30_000. */
  stallTimeoutMs?: number | undefined
  /** Default: one in JavaScript. In Node, `() => createHash('sha256')` is several times faster. */
  createSha256?: CreateSha256 | undefined
  /** As `createSha256`, by name: `(name) => createHash(name)`. */
  createHasher?: CreateHasher | undefined
  onProgress?: ((progress: DownloadProgress) => void) | undefined
  onEvent?: ((event: DownloadEvent) => void) | undefined
}

/** What came from where. Absent: everything was here. */
export type PullReceipt = DownloadReceipt
