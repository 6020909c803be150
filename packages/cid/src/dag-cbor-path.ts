import type { CID } from 'multiformats/cid'

import { CID_TAG, linkOf } from './car-links.ts'
import { createCborReader, type CborReader } from './cbor-reader.ts'
import { InvalidInputError } from './errors.ts'

/** Where a path into a dag-cbor block ends. */
export type CborPathEnd =
  /** At a link, after `used` segments. */
  | { type: 'link'; cid: CID; used: number }
  /** At something inside the block. */
  | { type: 'inside' }
  /** Nowhere: there is no such key or index. */
  | { type: 'missing'; used: number }

/**
 * Follows a path inside a dag-cbor block up to the first link: keys of maps, and indexes of lists in decimal.
 *
 * @param bytes - Verified.
 * @throws {InvalidInputError} They are not dag-cbor.
 */
export function followCborPath(cid: CID, bytes: Uint8Array, segments: readonly string[]): CborPathEnd {
  try {
    return follow(createCborReader(bytes), segments)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidInputError(`${cid} is not valid dag-cbor: ${why}`, { input: cid.toString(), cause })
  }
}

function follow(reader: CborReader, segments: readonly string[]): CborPathEnd {
  for (let used = 0; ; used++) {
    const { major, argument } = reader.readHead()
    if (major === 6) {
      if (argument !== CID_TAG) throw new Error(`tag ${argument} is not allowed`)
      const item = reader.readHead()
      if (item.major !== 2) throw new Error(`a link is not bytes (byte ${reader.position()})`)
      // A block that is nothing but a link has no keys.
      if (used === 0) return { type: 'missing', used }
      return { type: 'link', cid: linkOf(reader.take(item.argument)), used }
    }
    const segment = segments[used]
    if (segment === undefined) return { type: 'inside' }
    if (!(major === 5 ? skipToKey(reader, argument, segment) : major === 4 && skipToIndex(reader, argument, segment))) {
      return { type: 'missing', used }
    }
  }
}

/** Whether the map has the key; its value comes next. */
function skipToKey(reader: CborReader, count: number, wanted: string): boolean {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  for (let index = 0; index < count; index++) {
    const { major, argument } = reader.readHead()
    if (major !== 3) throw new Error(`a key is not text (byte ${reader.position()})`)
    if (decoder.decode(reader.take(argument)) === wanted) return true
    skipItem(reader)
  }
  return false
}

/** Whether the list is that long; the item comes next. */
function skipToIndex(reader: CborReader, count: number, wanted: string): boolean {
  const index = /^(?:0|[1-9]\d{0,14})$/.test(wanted) ? Number(wanted) : count
  if (index >= count) return false
  for (let at = 0; at < index; at++) skipItem(reader)
  return true
}

function skipItem(reader: CborReader): void {
  for (let left = 1; left > 0; left--) {
    const { major, argument } = reader.readHead()
    if (major === 2 || major === 3) reader.take(argument)
    else if (major === 4) left += argument
    else if (major === 5) left += 2 * argument
    else if (major === 6) left++
  }
}
