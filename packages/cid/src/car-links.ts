import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'

import { InvalidInputError, UnsupportedError } from './errors.ts'
import { DAG_CBOR, DAG_PB, RAW } from './hash.ts'

/**
 * Refuses a block whose links could not be found.
 *
 * @throws {UnsupportedError} Its codec is not raw, dag-pb or dag-cbor.
 */
export function assertLinksKnown(cid: CID): void {
  if (cid.code === RAW || cid.code === DAG_PB || cid.code === DAG_CBOR) return
  throw new UnsupportedError(`${cid} has codec 0x${cid.code.toString(16)}; links of raw, dag-pb and dag-cbor are known`)
}

/**
 * What a block links to, in the order of its bytes, repeats included.
 *
 * @param bytes - Verified.
 * @throws {InvalidInputError} They are not what the codec says.
 * @throws {UnsupportedError} The codec is not raw, dag-pb or dag-cbor.
 */
export function linksOf(cid: CID, bytes: Uint8Array): CID[] {
  assertLinksKnown(cid)
  if (cid.code === RAW) return []
  try {
    return cid.code === DAG_PB ? dagPb.decode(bytes).Links.map((link) => link.Hash) : cborLinks(bytes)
  } catch (cause) {
    const codec = cid.code === DAG_PB ? 'dag-pb' : 'dag-cbor'
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidInputError(`${cid} is not valid ${codec}: ${why}`, { input: cid.toString(), cause })
  }
}

const CID_TAG = 42

/**
 * The links of a dag-cbor block. It is not decoded into objects: those put a key such as `10` before all others, take
 * many times the memory of the block, and a deep nest of them ends in a stack overflow.
 *
 * @see https://ipld.io/specs/codecs/dag-cbor/spec/
 */
function cborLinks(bytes: Uint8Array): CID[] {
  const links: CID[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let position = 0
  let isLink = false

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

  let left = 1
  for (; left > 0; left--) {
    if (position >= bytes.length) throw new Error('it is cut short')
    const head = view.getUint8(position++)
    const major = head >> 5
    const argument = readArgument(head & 31)
    if (isLink && major !== 2) throw new Error(`a link is not bytes (byte ${position})`)
    if (major === 2 || major === 3) {
      const item = bytes.subarray(position, position + argument)
      if (item.length < argument) throw new Error('it is cut short')
      position += argument
      if (isLink) links.push(linkOf(item))
    } else if (major === 4) left += argument
    else if (major === 5) left += 2 * argument
    else if (major === 6) {
      if (argument !== CID_TAG) throw new Error(`tag ${argument} is not allowed`)
      left++
    }
    isLink = major === 6
  }
  if (position !== bytes.length) throw new Error(`${bytes.length - position} bytes after its end`)
  return links
}

function linkOf(item: Uint8Array): CID {
  if (item[0] !== 0) throw new Error('a link without its leading zero')
  return CID.decode(item.slice(1))
}
