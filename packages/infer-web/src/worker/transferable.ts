/**
 * The memory in a message that the other side can be given rather than a copy of it: the buffers of those typed arrays that
 * fill theirs. A part of a larger buffer, such as the heap of WebAssembly, is copied.
 */
export function transferable(message: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>()
  const look = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    if (!ArrayBuffer.isView(value)) {
      for (const part of Object.values(value)) look(part)
      return
    }
    const { buffer, byteLength } = value
    if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) found.add(buffer)
  }
  look(message)
  return [...found]
}
