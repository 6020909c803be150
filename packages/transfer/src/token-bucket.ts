import { sleep } from '@x/storage-core/backend'

/** Lets so many bytes through in each second, whoever asks. */
export interface TokenBucket {
  /** Resolves when so many bytes, which have come, may be paid for. */
  take(bytes: number, signal: AbortSignal | undefined): Promise<void>
  /** Somebody waits, or did a moment ago: who brings nothing meanwhile may be as fast as anybody. */
  isHoldingBack(): boolean
}

const MOMENT_MS = 1000

/** What may come at once after a pause: a part of a second. */
const BURST_SECONDS = 0.1

/** @param bytesPerSecond - More than 0. `undefined`: no limit. */
export function createTokenBucket(bytesPerSecond: number | undefined): TokenBucket {
  let tokens = (bytesPerSecond ?? 0) * BURST_SECONDS
  let countedAt = performance.now()
  let waiting = 0
  let waitedAt = -Infinity
  return {
    isHoldingBack: () => waiting > 0 || performance.now() - waitedAt < MOMENT_MS,
    take: async (bytes, signal) => {
      if (bytesPerSecond === undefined) return
      const now = performance.now()
      tokens = Math.min(bytesPerSecond * BURST_SECONDS, tokens + ((now - countedAt) / 1000) * bytesPerSecond)
      countedAt = now
      // Who comes after waits for the debt of those before.
      tokens -= bytes
      if (tokens >= 0) return
      waiting += 1
      try {
        await sleep((-tokens / bytesPerSecond) * 1000, signal)
      } finally {
        waiting -= 1
        waitedAt = performance.now()
      }
    },
  }
}
