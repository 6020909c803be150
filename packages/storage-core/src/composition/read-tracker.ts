import { codeOf } from '../error-code.ts'
import type { Attempt, Receipt, Share } from '../receipt.ts'
import { isCircuitRefusal } from './circuit-breaker.ts'

/** Follows one operation over several backends, for its receipt. */
export interface ReadTracker {
  gave(backend: string, share: { blocks: number; bytes: number; durationMs: number }): void
  failed(backend: string, error: unknown, durationMs?: number): void
  /** Whether a failure of this backend was not known yet. */
  isFirstFailure(backend: string): boolean
  receipt(end: Pick<Receipt, 'cid' | 'bytes' | 'verified'>): Receipt
}

export function trackRead(operation: Receipt['operation']): ReadTracker {
  const startedAt = new Date().toISOString()
  const clock = performance.now()
  const attempts = new Map<string, Attempt>()
  const shares = new Map<string, Share>()
  let last: string | undefined

  const attemptOf = (backend: string): Attempt => {
    const known = attempts.get(backend)
    if (known) return known
    const made: Attempt = { backend, outcome: 'answered', durationMs: 0 }
    attempts.set(backend, made)
    return made
  }

  return {
    gave(backend, { blocks, bytes, durationMs }) {
      attemptOf(backend).durationMs += durationMs
      const share = shares.get(backend) ?? { backend, blocks: 0, bytes: 0 }
      share.blocks += blocks
      share.bytes += bytes
      shares.set(backend, share)
      last = backend
    },
    failed(backend, error, durationMs = 0) {
      const attempt = attemptOf(backend)
      attempt.durationMs += durationMs
      // What it said first is why another one was asked.
      if (attempt.outcome !== 'answered') return
      attempt.outcome = outcomeOf(error)
      attempt.code = codeOf(error)
      attempt.reason = error instanceof Error ? error.message : String(error)
    },
    isFirstFailure: (backend) => (attempts.get(backend)?.outcome ?? 'answered') === 'answered',
    receipt({ cid, bytes, verified }) {
      const answeredBy = last ?? ''
      const inOrder = [...attempts.values()]
      const ofLast = inOrder.filter(({ backend }) => backend === answeredBy)
      return {
        operation,
        cid,
        answeredBy,
        attempts: [...inOrder.filter(({ backend }) => backend !== answeredBy), ...ofLast],
        gave: [...shares.values()],
        verified,
        bytes,
        startedAt,
        durationMs: performance.now() - clock,
      }
    },
  }
}

function outcomeOf(error: unknown): Attempt['outcome'] {
  if (isCircuitRefusal(error)) return 'skipped'
  return codeOf(error) === 'NOT_FOUND' ? 'not-found' : 'failed'
}
