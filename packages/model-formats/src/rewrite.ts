/** In the copy, `removed` bytes from `at` on are replaced. */
export interface Edit {
  at: number
  removed: number
  inserted: Uint8Array
}

export interface CopyOptions {
  read: (offset: number, length: number) => Promise<Uint8Array>
  /** Of the file. */
  size: number
  edits: readonly Edit[]
  /** Of the copy. */
  copiedSize: number
}

/** Read at once. */
const MIN_WINDOW_BYTES = 4096
const MAX_WINDOW_BYTES = 262_144

/** A copy of a file with edits that do not overlap, in any order; those at the same place stay in theirs. */
export async function copyRanges(options: CopyOptions): Promise<Uint8Array<ArrayBuffer>> {
  const { read, size, edits, copiedSize } = options
  const copy = new Uint8Array(copiedSize)
  let written = 0
  let at = 0
  /** What was read last: edits are close to each other. */
  let window: Uint8Array = new Uint8Array()
  let windowAt = 0

  async function copyUntil(end: number): Promise<void> {
    while (at < end) {
      if (at < windowAt || at >= windowAt + window.length) {
        const wanted = Math.min(MAX_WINDOW_BYTES, Math.max(MIN_WINDOW_BYTES, end - at))
        window = await read(at, Math.min(wanted, size - at))
        windowAt = at
      }
      const piece = window.subarray(at - windowAt, Math.min(window.length, end - windowAt))
      copy.set(piece, written)
      written += piece.length
      at += piece.length
    }
  }

  for (const { at: start, removed, inserted } of edits.toSorted((a, b) => a.at - b.at)) {
    await copyUntil(start)
    copy.set(inserted, written)
    written += inserted.length
    at = start + removed
  }
  await copyUntil(size)
  return copy
}
