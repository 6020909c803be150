import { RAW, type CID } from '@x/cid'

import type { PartPlace, PlaceReader } from './catalogue/places.ts'

/** Of files that are one block, and of those that are more; a file has a block in one place, which may be any. */
export function placesOf(places: PlaceReader, cid: CID): PartPlace[] {
  const parts = places.parts(cid)
  if (parts.length > 0) return parts
  const isBlock = (cid.code === RAW && places.file(cid)) || places.keyOfRoot(cid)
  return isBlock ? [{ root: cid, leaf: 0 }] : []
}
