/** A controller that aborts with each signal too, until it is released; what `AbortSignal.any` makes cannot be released. */
export function linkedController(...signals: (AbortSignal | undefined)[]): {
  controller: AbortController
  release: () => void
} {
  const controller = new AbortController()
  const linked = signals.flatMap((signal) => {
    if (!signal) return []
    const onAbort = (): void => controller.abort(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    return () => signal.removeEventListener('abort', onAbort)
  })
  return { controller, release: () => linked.forEach((unlink) => unlink()) }
}
