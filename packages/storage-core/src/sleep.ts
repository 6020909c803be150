import { untilAborted } from './lock.ts'

/** Resolves after a time, or rejects with `signal.reason`. */
export async function sleep(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, waitMs)
  try {
    await untilAborted(promise, signal)
  } finally {
    clearTimeout(timer)
  }
}
