/** Errors are plain ones: the caller says of which block. */
export interface CborReader {
  /** Bytes read so far. */
  position(): number
  hasMore(): boolean
  /** The major type of the next item, and its value, length or count. */
  readHead(): { major: number; argument: number }
  /** The next bytes, not copied. */
  take(byteLength: number): Uint8Array
}

/**
 * Reads dag-cbor item by item. Decoded into objects, a block would put a key such as `10` before all others and take many times its memory, and a deep
 * nest of it would end in a stack overflow.
 *
 * @see https://ipld.io/specs/codecs/dag-cbor/spec/
 */
export function createCborReader(bytes: Uint8Array): CborReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let position = 0

  const readArgument = (info: number): number => {
    if (info < 24) return info
    if (info > 27) throw new Error(`its items may not be of indefinite length (byte ${position})`)
    const start = position
    position += 2 ** (info - 24)
    if (position > bytes.length) throw new Error('it is cut short')
    if (info === 24) return view.getUint8(start)
    if (info === 25) return view.getUint16(start)
    if (info === 26) return view.getUint32(start)
    return Number(view.getBigUint64(start))
  }

  return {
    position: () => position,
    hasMore: () => position < bytes.length,
    readHead: () => {
      if (position >= bytes.length) throw new Error('it is cut short')
      const head = view.getUint8(position++)
      return { major: head >> 5, argument: readArgument(head & 31) }
    },
    take: (byteLength) => {
      const item = bytes.subarray(position, position + byteLength)
      if (item.length < byteLength) throw new Error('it is cut short')
      position += byteLength
      return item
    },
  }
}
