/** What the `Data` message of UnixFS says. */
export interface UnixfsMessage {
  /** Default `file`. */
  type: (typeof TYPES)[number]
  /** Not copied; `undefined` where there are none. */
  data: Uint8Array | undefined
  /** Bytes; not exact over 2^53. */
  blockSizes: number[]
  fanout: number | undefined
  /** As `chmod` takes it. Default 0644, of directories 0755. */
  mode: number
}

/** By the values of the enumeration `DataType`. */
const TYPES = ['raw', 'directory', 'file', 'metadata', 'symlink', 'shard'] as const

const VARINT = 0
const FIXED_64 = 1
const LENGTH_DELIMITED = 2
const FIXED_32 = 5
/** The wire types of the fields that are read. */
const WIRE_TYPES: ReadonlyMap<number, number> = new Map([
  [1, VARINT],
  [2, LENGTH_DELIMITED],
  [4, VARINT],
  [6, VARINT],
  [7, VARINT],
])

/**
 * Decodes the `Data` message of UnixFS. Of a field that is there twice the last one counts; fields that are not known, and
 * those that nobody here asks for, are passed over.
 *
 * @throws {Error} It is no such message; the caller says of which block.
 * @see https://specs.ipfs.tech/unixfs/#data
 */
export function readUnixfsData(bytes: Uint8Array): UnixfsMessage {
  let position = 0
  const forward = (length: number): number => {
    const start = position
    // Not a sum first: a length may be of any size.
    if (length > bytes.length - start) throw new Error('its data is cut short')
    position += length
    return start
  }
  /** 64 bits at most. By multiplication: the bit operators of JavaScript end at 32. */
  const readVarint = (): number => {
    let value = 0
    for (let index = 0; index < 10; index++) {
      const byte = bytes[forward(1)] ?? 0
      if (index === 9 && byte > 1) break
      value += (byte & 0x7f) * 2 ** (7 * index)
      if (byte < 0x80) return value
    }
    throw new Error('a number in its data is over 64 bits')
  }
  const skip = (wireType: number): void => {
    if (wireType === VARINT) readVarint()
    else if (wireType === LENGTH_DELIMITED) forward(readVarint())
    else if (wireType === FIXED_64) forward(8)
    else if (wireType === FIXED_32) forward(4)
    else throw new Error(`wire type ${wireType} in its data`)
  }

  let type: UnixfsMessage['type'] = 'file'
  let data: Uint8Array | undefined
  let fanout: number | undefined
  let mode: number | undefined
  const blockSizes: number[] = []
  while (position < bytes.length) {
    const tag = readVarint()
    const wireType = tag % 8
    const field = (tag - wireType) / 8
    const expected = WIRE_TYPES.get(field)
    if (expected === undefined) {
      skip(wireType)
      continue
    }
    if (wireType !== expected) throw new Error(`field ${field} of its data has wire type ${wireType}`)
    const value = readVarint()
    if (field === 1) {
      const name = TYPES[value]
      if (name === undefined) throw new Error(`its data is of type ${value}`)
      type = name
    } else if (field === 2) {
      const start = forward(value)
      data = bytes.subarray(start, position)
    } else if (field === 4) blockSizes.push(value)
    else if (field === 6) fanout = value
    else mode = value % 0o10000
  }
  const isDirectory = type === 'directory' || type === 'shard'
  return { type, data, blockSizes, fanout, mode: mode ?? (isDirectory ? 0o755 : 0o644) }
}
