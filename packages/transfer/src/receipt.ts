import type { CID } from '@x/cid'

export interface DownloadedFile {
  path: string
  size: number
  /** Of its DAG: the one that was asked for, or that of the default profile. */
  root: CID
  /** The store had all of it. */
  heldBytes: number
  /** Were there from an earlier run. */
  resumedBytes: number
  /** Came from pieces that were on this machine. */
  localBytes: number
  sources: readonly { name: string; bytes: number }[]
  /** Those whose bytes were part of a file that did not match as a whole; which of them lied is not known. */
  suspects: readonly string[]
  /** How it was checked. `git-oid` is weak, for it is SHA-1. */
  check: 'each-leaf' | 'whole-file' | 'git-oid' | 'held'
}

/** What a download took, and who did what. */
export interface DownloadReceipt {
  /** ISO 8601, UTC. */
  startedAt: string
  durationMs: number
  /** That came from all sources together. */
  bytes: number
  /** Of these, those that had come already, from a source that was faster. */
  duplicateBytes: number
  sources: readonly {
    name: string
    bytes: number
    requests: number
    failures: number
    /** `banned`: it gave bytes that do not match. `dropped`: it failed again and again. */
    outcome: 'answered' | 'unused' | 'banned' | 'dropped'
    /** Of its last failure; or that it was asked, and had not answered yet when all was there. */
    reason: string | undefined
    code: string | undefined
  }[]
}
