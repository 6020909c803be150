import type { CID } from '@x/cid'

/** One backend's part in an operation. */
export interface Attempt {
  /** The backend's `name`. */
  backend: string
  /** `owed`: it is done later, and kept until then that it has to be. */
  outcome: 'answered' | 'not-found' | 'failed' | 'skipped' | 'owed'
  /** Why it failed or was skipped. */
  reason?: string | undefined
  /** The failure's error code. */
  code?: string | undefined
  durationMs: number
}

/** What one backend gave of what an operation read. */
export interface Share {
  /** The backend's `name`. */
  backend: string
  /** Blocks that were asked for one by one; 0 where a file was read as a whole. */
  blocks: number
  bytes: number
}

/** Who answered an operation, who was tried before, and what was verified. Given to `onReceipt` when it has ended well. */
export interface Receipt {
  operation: 'add' | 'cat' | 'stat' | 'ls' | 'fetch'
  /** The root that was read or made. */
  cid: CID
  /** The backend that answered. */
  answeredBy: string
  /** In order, the one that answered last. Each backend once, with how its part ended. */
  attempts: Attempt[]
  /** Of an operation of several backends, what each of them gave. */
  gave?: readonly Share[] | undefined
  /** `each-leaf`: every byte was hashed now. `stored`: trusted from an earlier check. */
  verified: 'each-leaf' | 'stored'
  /** Of content, handed on or taken in. */
  bytes: number
  /** ISO 8601, UTC. */
  startedAt: string
  durationMs: number
}

/** Builds the receipt of an operation that one backend did alone. */
export function startReceipt(operation: Receipt['operation'], backend: string): FinishReceipt {
  const started = new Date()
  const clock = performance.now()
  return ({ cid, bytes, verified }) => {
    const durationMs = performance.now() - clock
    return {
      operation,
      cid,
      answeredBy: backend,
      attempts: [{ backend, outcome: 'answered', durationMs }],
      verified,
      bytes,
      startedAt: started.toISOString(),
      durationMs,
    }
  }
}

export type FinishReceipt = (end: Pick<Receipt, 'cid' | 'bytes' | 'verified'>) => Receipt
