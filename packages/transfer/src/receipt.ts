import type { CID } from '@x/cid'
import { codeOf } from '@x/storage-core/backend'

import { messageOf } from './download-errors.ts'
import type { FileRun } from './file-run.ts'
import type { SourceState } from './source-state.ts'
import type { WantedFile } from './wanted-file.ts'

export interface DownloadResult {
  /** In the order in which they were asked for. */
  files: readonly DownloadedFile[]
  receipt: DownloadReceipt
}

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
  /** How it was checked. `git-oid` is weak, for it is SHA-1. `none`: no digest was known, and it is what the one source gave. */
  check: 'each-leaf' | 'whole-file' | 'git-oid' | 'none' | 'held'
}

/** What a download took, and who did what. */
export interface DownloadReceipt {
  /** ISO 8601, UTC. */
  startedAt: string
  durationMs: number
  /** That came from all sources together, those before a range from a server without ranges among them. */
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

/** Of a file all of which the store had. */
export const heldFileOf = ({ path, size }: WantedFile, root: CID): DownloadedFile => ({
  path,
  size,
  root,
  heldBytes: size,
  resumedBytes: 0,
  localBytes: 0,
  sources: [],
  suspects: [],
  check: 'held',
})

/** Of a file that is whole and committed. */
export function broughtFileOf(file: FileRun, root: CID): DownloadedFile {
  const { path, size } = file.wanted
  return {
    path,
    size,
    root,
    heldBytes: 0,
    resumedBytes: file.resumedBytes,
    localBytes: file.localBytes,
    sources: Array.from(file.given, ([state, bytes]) => ({ name: state.name, bytes })),
    suspects: Array.from(file.suspects, ({ name }) => name),
    check: checkOf(file),
  }
}

function checkOf({ plan, wanted: { root, sha256, gitOid } }: FileRun): DownloadedFile['check'] {
  if (plan.outboard) return 'each-leaf'
  if (sha256 || root) return 'whole-file'
  return gitOid === undefined ? 'none' : 'git-oid'
}

export function receiptOf(
  states: readonly SourceState[],
  { startedAt, durationMs, duplicateBytes }: Pick<DownloadReceipt, 'startedAt' | 'durationMs' | 'duplicateBytes'>,
): DownloadReceipt {
  return {
    startedAt,
    durationMs,
    bytes: states.reduce((sum, { bytes }) => sum + bytes, 0),
    duplicateBytes,
    sources: states.map((state) => ({
      name: state.name,
      bytes: state.bytes,
      requests: state.requests,
      failures: state.failures,
      outcome: state.out?.isBanned ? 'banned' : state.out ? 'dropped' : state.bytes > 0 ? 'answered' : 'unused',
      reason: messageOf(state.out?.error ?? state.lastError) ?? silenceOf(state),
      code: codeOf(state.out?.error ?? state.lastError),
    })),
  }
}

/** A source that fails and tries again within itself is as silent as one that hangs. */
const silenceOf = ({ requests, bytes }: SourceState): string | undefined =>
  requests > 0 && bytes === 0 ? 'it had given nothing when the rest was there' : undefined
