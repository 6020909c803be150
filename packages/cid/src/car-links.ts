import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'

import { createCborReader } from './cbor-reader.ts'
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

/** The tag of a link. */
export const CID_TAG = 42

function cborLinks(bytes: Uint8Array): CID[] {
  const links: CID[] = []
  const reader = createCborReader(bytes)
  let isLink = false
  let left = 1
  for (; left > 0; left--) {
    const { major, argument } = reader.readHead()
    if (isLink && major !== 2) throw new Error(`a link is not bytes (byte ${reader.position()})`)
    if (major === 2 || major === 3) {
      const item = reader.take(argument)
      if (isLink) links.push(linkOf(item))
    } else if (major === 4) left += argument
    else if (major === 5) left += 2 * argument
    else if (major === 6) {
      if (argument !== CID_TAG) throw new Error(`tag ${argument} is not allowed`)
      left++
    }
    isLink = major === 6
  }
  if (reader.hasMore()) throw new Error(`${bytes.length - reader.position()} bytes after its end`)
  return links
}

/** What the bytes under the tag of a link say. */
export function linkOf(item: Uint8Array): CID {
  if (item[0] !== 0) throw new Error('a link without its leading zero')
  return CID.decode(item.slice(1))
}
