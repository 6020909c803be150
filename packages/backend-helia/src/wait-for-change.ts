import type { ProviderBook } from './provider-book.ts'

interface WaitOptions {
  timeoutMs: number
  signal: AbortSignal
}

/** Waits for a change of the book after which something is so. Resolves to whether it came in time. */
export async function waitForChange(
  book: Pick<ProviderBook, 'onChange'>,
  isSo: () => boolean,
  { timeoutMs, signal }: WaitOptions,
): Promise<boolean> {
  const over = Promise.withResolvers<boolean>()
  const check = (): void => {
    if (isSo()) over.resolve(true)
  }
  const unsubscribe = book.onChange(check)
  const timeout = AbortSignal.timeout(timeoutMs)
  const onTimeout = (): void => over.resolve(false)
  const onAbort = (): void => over.reject(signal.reason)
  timeout.addEventListener('abort', onTimeout)
  signal.addEventListener('abort', onAbort)
  try {
    if (signal.aborted) onAbort()
    check()
    return await over.promise
  } finally {
    unsubscribe()
    timeout.removeEventListener('abort', onTimeout)
    signal.removeEventListener('abort', onAbort)
  }
}
