/**
 * Encodes the `Data` message of UnixFS. Our own, because `ipfs-unixfs` 13.1.1 (protons-runtime 7.1.2) writes a size from
 * 2^31 to 2^32 as one byte of it and four of uninitialised memory, so that files of 2 to 4 GiB got a CID by chance.
 *
 * @see https://specs.ipfs.tech/unixfs/#data
 */
export interface UnixfsData {
  type: keyof typeof TYPES
  /** A file's own bytes, a symlink's target, a shard's bitfield. Left out when empty. */
  data?: Uint8Array | undefined
  /** Of files alone. Bytes. */
  fileSize?: number | undefined
  /** One for each link of a file. Bytes. */
  blockSizes?: readonly number[] | undefined
  hashType?: number | undefined
  fanout?: number | undefined
}

/** The values of the enumeration `DataType` that are written. */
const TYPES = { directory: 1, file: 2, symlink: 4, shard: 5 } as const

export function encodeUnixfsData({
  type,
  data = new Uint8Array(),
  fileSize,
  blockSizes = [],
  hashType,
  fanout,
}: UnixfsData): Uint8Array {
  const head: number[] = []
  const tail: number[] = []
  pushField(head, 1, TYPES[type])
  if (data.length > 0) {
    pushVarint(head, (2 << 3) | LENGTH_DELIMITED)
    pushVarint(head, data.length)
  }
  if (fileSize !== undefined) pushField(tail, 3, fileSize)
  for (const size of blockSizes) pushField(tail, 4, size)
  if (hashType !== undefined) pushField(tail, 5, hashType)
  if (fanout !== undefined) pushField(tail, 6, fanout)
  const bytes = new Uint8Array(head.length + data.length + tail.length)
  bytes.set(head)
  bytes.set(data, head.length)
  bytes.set(tail, head.length + data.length)
  return bytes
}

const VARINT = 0
const LENGTH_DELIMITED = 2

function pushField(bytes: number[], field: number, value: number): void {
  pushVarint(bytes, (field << 3) | VARINT)
  pushVarint(bytes, value)
}

/** By division: the bit operators of JavaScript end at 32 bits. */
function pushVarint(bytes: number[], value: number): void {
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
}
