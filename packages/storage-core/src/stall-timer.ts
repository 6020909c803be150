/** The last part of a wait at most, in which what came while this process stood still is heard. Milliseconds. */
const LAST_MS = 1000
/** A timer that is called later than this was kept from it. Milliseconds. */
const LATE_MS = 5

/**
 * Calls back when it was not stopped for so long. Timers that are due come before what has arrived: after a time in which the
 * whole process stood still (a busy machine, a laptop that slept) a plain one would take that for silence of the other side.
 *
 * @returns Stops it.
 */
export function startStallTimer(stallTimeoutMs: number, onStall: () => void): () => void {
  const lastMs = Math.min(Math.ceil(stallTimeoutMs / 4), LAST_MS)
  let timer = setTimeout(() => {
    const dueMs = performance.now() + lastMs
    timer = setTimeout(() => {
      // It stood still in the last part: that is waited for once more, and no oftener, or on a busy machine it would never end.
      if (performance.now() - dueMs > LATE_MS) timer = setTimeout(onStall, lastMs)
      else onStall()
    }, lastMs)
  }, stallTimeoutMs - lastMs)
  return () => clearTimeout(timer)
}
