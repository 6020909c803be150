import { encodeDagCbor, type CID } from '@x/cid'

/** The header of a CARv1, with its length. */
export async function carHeader(roots: readonly CID[]): Promise<Uint8Array> {
  const { bytes } = await encodeDagCbor({ roots: [...roots], version: 1 })
  return Buffer.concat([varint(bytes.length), bytes])
}

/** What stands before a block's bytes: the length of CID and bytes together, and the CID. */
export const sectionHead = (cid: CID, byteLength: number): Uint8Array =>
  Buffer.concat([varint(cid.byteLength + byteLength), cid.bytes])

/** LEB128, of less than 2^53. */
function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let left = value
  while (left >= 128) {
    bytes.push((left % 128) | 128)
    left = Math.floor(left / 128)
  }
  return Uint8Array.from([...bytes, left])
}
