import type { CID } from '@x/cid'

export interface FileProgress {
  path: string
  size: number
  /** Bytes that are there: from sources, from here, and from before. */
  loaded: number
}

export interface SourceProgress {
  name: string
  /** Bytes that came. */
  loaded: number
  bytesPerSecond: number
  /** Requests that run. */
  requests: number
  failures: number
  /** `waiting`: left alone for a while after a failure. `out`: not asked again in this run. */
  state: 'active' | 'idle' | 'waiting' | 'out'
}

/** How far a download is. */
export interface DownloadProgress {
  total: {
    size: number
    loaded: number
    bytesPerSecond: number
    /** `undefined` while it cannot be told. */
    secondsLeft: number | undefined
  }
  /** Those that are on their way. */
  files: readonly FileProgress[]
  sources: readonly SourceProgress[]
}

export type DownloadEvent =
  /** Another process downloads it; what that one has recorded so far. */
  | { type: 'file-waiting'; path: string; recordedBytes: number }
  /** `resumedBytes`: were there from before. */
  | { type: 'file-started'; path: string; size: number; resumedBytes: number }
  | { type: 'file-finished'; path: string; root: CID }
  /** It does not give the file. */
  | { type: 'source-refused'; source: string; path: string; error: unknown }
  /** A request failed, and is tried again. */
  | { type: 'request-failed'; source: string; path: string; error: unknown }
  /** It is not asked again in this run. `isLiar`: it gave bytes that do not match. */
  | { type: 'source-dropped'; source: string; error: unknown; isLiar: boolean }
  /** Bytes from several sources together do not match: they come again, from one after another. */
  | { type: 'file-restarted'; path: string; suspects: readonly string[] }
