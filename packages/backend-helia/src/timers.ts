/** Returns what cancels it. */
export function later(callback: () => void, delayMs: number): () => void {
  const timer = setTimeout(callback, delayMs)
  return () => clearTimeout(timer)
}

/** As `later`, but it does not keep a process alive. */
export function someTime(callback: () => void, delayMs: number): () => void {
  const timer = setTimeout(callback, delayMs)
  // A number in browsers.
  const given: unknown = timer
  if (typeof given === 'object' && given !== null && 'unref' in given && typeof given.unref === 'function')
    given.unref()
  return () => clearTimeout(timer)
}
