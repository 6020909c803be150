const MOST_KEPT = 4
const spare: Uint8Array<ArrayBuffer>[] = []

/**
 * Memory of so many bytes at the least, to be given back and used again: fresh memory of a MiB takes as long as to read that
 * much into it.
 */
export function takeScratch(length: number): Uint8Array<ArrayBuffer> {
  const found = spare.pop()
  return found && found.length >= length ? found : new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
}

/** Nobody may use it any more. What a reader has moved away is not kept. */
export function giveScratch(bytes: Uint8Array<ArrayBuffer>): void {
  if (spare.length < MOST_KEPT && !bytes.buffer.detached) spare.push(bytes)
}
