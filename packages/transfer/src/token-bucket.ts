import { sleep } from '@x/storage-core/backend'

/** Lets so many bytes through in each second, whoever asks. */
export interface TokenBucket {
  /** Resolves when so many bytes, which have come, may be paid for. */
  take(bytes: number, signal: AbortSignal | undefined): Promise<void>
}

/** What may come at once after a pause: a part of a second. */
const BURST_SECONDS = 0.1

/** @param bytesPerSecond - More than 0. `undefined`: no limit. */
export function createTokenBucket(bytesPerSecond: number | undefined): TokenBucket {
  let tokens = (bytesPerSecond ?? 0) * BURST_SECONDS
  let countedAt = performance.now()
  return {
    take: async (bytes, signal) => {
      if (bytesPerSecond === undefined) return
      const now = performance.now()
      tokens = Math.min(bytesPerSecond * BURST_SECONDS, tokens + ((now - countedAt) / 1000) * bytesPerSecond)
      countedAt = now
      // Who comes after waits for the debt of those before.
      tokens -= bytes
      if (tokens < 0) await sleep((-tokens / bytesPerSecond) * 1000, signal)
    },
  }
}
