import { startStallTimer } from '@x/storage-core/backend'

/** Fewer bytes than this in the stall time count as silence. */
const LEAST_BYTES = 16 * 1024

export interface StallWatch {
  /** Bytes that count once they are enough. */
  onBytes(byteLength: number): void
  /** A sign of life for itself. */
  note(): void
  stop(): void
}

/** Calls `onStall`, once, when there is no sign of life for `timeoutMs`, with the bytes that came all the same. */
export function watchStall(timeoutMs: number, onStall: (byteLength: number) => void): StallWatch {
  let lastSign = Date.now()
  let bytes = 0
  let cancel = startStallTimer(timeoutMs, check)

  function check(): void {
    const left = lastSign + timeoutMs - Date.now()
    // A timer for each sign would cost more than one that looks again.
    if (left > 0) cancel = startStallTimer(left, check)
    else onStall(bytes)
  }
  function note(): void {
    lastSign = Date.now()
    bytes = 0
  }
  return {
    note,
    onBytes(byteLength) {
      bytes += byteLength
      if (bytes >= LEAST_BYTES) note()
    },
    stop: () => cancel(),
  }
}
