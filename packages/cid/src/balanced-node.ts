import { encodeUnixfsData } from './unixfs-data.ts'
import { varint } from './varint.ts'

/** The nodes of one height of a balanced file DAG, as links. */
export interface LinkLevel {
  count: number
  /** What stands before the digest in each one's CID. */
  prefix: Uint8Array
  /** 32 bytes each. */
  digests: Uint8Array
  /** Bytes of the file below. */
  fileBytes: (index: number) => number
  /** Bytes of all blocks below and its own, counted once per link. */
  dagBytes: (index: number) => number
}

const DIGEST_BYTES = 32
const HASH = 0x0a
const NAME = 0x12
const TSIZE = 0x18
const LINK = 0x12
const DATA = 0x0a

/**
 * The node over a run of them, as dag-pb writes it, without an object for each: a file of 8 GiB has 8192 leaves, and half a
 * kilobyte of garbage for each was a quarter of what the process took.
 *
 * @see https://ipld.io/specs/codecs/dag-pb/spec/
 */
export function encodeBalancedNode(
  { prefix, digests, fileBytes, dagBytes }: LinkLevel,
  first: number,
  end: number,
): { bytes: Uint8Array; fileBytes: number; dagBytes: number } {
  const blockSizes = Array.from({ length: end - first }, (_, index) => fileBytes(first + index))
  const total = blockSizes.reduce((sum, size) => sum + size, 0)
  const data = encodeUnixfsData({ type: 'file', fileSize: total, blockSizes })
  const hashBytes = prefix.length + DIGEST_BYTES
  const dataHead = [DATA, ...varint(data.length)]
  // A link is shorter than 128 bytes, whatever it points to.
  const linkBytes = (tsize: number[]): number => 2 + hashBytes + 2 + 1 + tsize.length
  let below = 0
  let length = dataHead.length + data.length
  for (let index = first; index < end; index++) {
    below += dagBytes(index)
    length += 2 + linkBytes(varint(dagBytes(index)))
  }
  const bytes = new Uint8Array(length)
  let position = 0
  const put = (part: ArrayLike<number>): void => {
    bytes.set(part, position)
    position += part.length
  }
  for (let index = first; index < end; index++) {
    const tsize = varint(dagBytes(index))
    put([LINK, linkBytes(tsize), HASH, hashBytes])
    put(prefix)
    put(digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES))
    // An empty name is written, for IPFS has always done so.
    put([NAME, 0, TSIZE])
    put(tsize)
  }
  put(dataHead)
  put(data)
  return { bytes, fileBytes: total, dagBytes: below + length }
}
