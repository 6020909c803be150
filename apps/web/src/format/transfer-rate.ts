/** What is known of bytes that are on their way. */
interface Rate {
  /** Over the last seconds; `undefined` until it can be told. */
  bytesPerSecond: number | undefined
  /** `undefined`: not known. */
  leftMs: number | undefined
}

interface RateMeter {
  /** Notes how many bytes there are now, of how many. */
  note(loaded: number, total: number | undefined, nowMs: number): Rate
}

/** The seconds that a rate is over: long enough to be calm, short enough to follow what happens. */
const WINDOW_MS = 5000

/** Measures the rate of one transfer. What was there at the first note was not transferred, and does not count. */
export function createRateMeter(): RateMeter {
  const notes: { atMs: number; loaded: number }[] = []
  return {
    note(loaded, total, nowMs) {
      notes.push({ atMs: nowMs, loaded })
      // One that is older than the window stays, as its beginning.
      while (notes[1] && nowMs - notes[1].atMs >= WINDOW_MS) notes.shift()
      const [first] = notes
      const passedMs = first ? nowMs - first.atMs : 0
      if (!first || passedMs < 500) return { bytesPerSecond: undefined, leftMs: undefined }
      const bytesPerSecond = ((loaded - first.loaded) / passedMs) * 1000
      const leftMs = total === undefined || bytesPerSecond <= 0 ? undefined : ((total - loaded) / bytesPerSecond) * 1000
      return { bytesPerSecond, leftMs }
    },
  }
}
