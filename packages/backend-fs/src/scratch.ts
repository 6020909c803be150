const MOST_KEPT = 4
const spare: Uint8Array<ArrayBuffer>[] = []

/**
 * Runs `work` with memory for so many bytes, which is used again afterwards: fresh memory of a MiB takes as long as to read
 * that much into it.
 */
export async function withScratch<T>(length: number, work: (bytes: Uint8Array) => Promise<T>): Promise<T> {
  const found = spare.pop()
  const bytes = found && found.length >= length ? found : new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
  try {
    return await work(bytes.subarray(0, length))
  } finally {
    if (spare.length < MOST_KEPT) spare.push(bytes)
  }
}
