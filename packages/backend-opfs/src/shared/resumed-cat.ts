import { BackendError, type CatOptions, type Receipt } from '@x/storage-core'

import { oneWay } from './wire.ts'

/** A reading that goes on where it was when its owner went. */
export interface ResumedCat {
  /** For the next owner that is asked: the rest. */
  options: () => object
  take: (piece: unknown) => Uint8Array
}

/** @param name - Who answered, in receipts. */
export function resumeCat(name: string, given: CatOptions): ResumedCat {
  const { signal: _signal, onReceipt, reuse: _reuse, ...options } = given
  const startedAt = new Date().toISOString()
  const started = performance.now()
  let taken = 0
  let owners = 0

  /** Of all owners, of what the last one says of its part. */
  function receiptOf(receipt: Receipt, before: number): Receipt {
    const last = renamed(receipt, name)
    if (owners === 1) return last
    const durationMs = performance.now() - started
    const lost = {
      backend: name,
      outcome: 'failed' as const,
      reason: 'the tab that owned the store was closed',
      durationMs: durationMs - last.durationMs,
    }
    return { ...last, attempts: [lost, ...last.attempts], bytes: before + last.bytes, startedAt, durationMs }
  }

  return {
    options() {
      owners += 1
      const before = taken
      const { offset = 0, length } = options
      return {
        ...options,
        // What is wrong with them the owner says.
        ...(before > 0 && { offset: offset + before, ...(length !== undefined && { length: length - before }) }),
        ...(onReceipt && { onReceipt: oneWay((receipt: Receipt) => onReceipt(receiptOf(receipt, before))) }),
      }
    },
    take(piece) {
      if (!(piece instanceof Uint8Array)) {
        throw new BackendError(`${name}: the owner gave no bytes`, { retryable: false })
      }
      taken += piece.length
      return piece
    },
  }
}

/** Clients may call the store by another name than its owner does. */
export function renamed(receipt: Receipt, name: string): Receipt {
  const attempts = receipt.attempts.map((attempt) =>
    attempt.backend === receipt.answeredBy ? { ...attempt, backend: name } : attempt,
  )
  return { ...receipt, attempts, answeredBy: name }
}
