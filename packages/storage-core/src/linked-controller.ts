/**
 * A controller that aborts with each signal too, until it is released. `AbortSignal.any` would be kept as long as these, and
 * was seen not to abort (Node 24, once in ten downloads): where only others listen to it, it may be collected.
 */
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
