import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'

import { readCidBytes, type Refuse } from './car-cid.ts'
import { UnsupportedError } from './errors.ts'

/** How a CARv2 begins, after its length: a CARv1 header of version 2 without roots. */
const PRAGMA = Uint8Array.of(0xa1, 0x67, 0x76, 0x65, 0x72, 0x73, 0x69, 0x6f, 0x6e, 0x02)

/** After the pragma: characteristics (16), offset and size of the data, offset of the index (8 each). Bytes. */
export const V2_HEADER_BYTES = 40

/** The pragma with its length, and the header. */
const V2_FIRST_DATA_OFFSET = 1 + PRAGMA.length + V2_HEADER_BYTES

/** The header of a CARv1, without its length. */
export const encodeCarHeader = (roots: readonly CID[]): Uint8Array => dagCbor.encode({ roots, version: 1 })

export const isV2Pragma = (header: Uint8Array): boolean =>
  header.length === PRAGMA.length && PRAGMA.every((byte, index) => byte === header[index])

/**
 * The roots that the header of a CARv1 names; there may be none.
 *
 * @throws {UnsupportedError} It is of another version.
 */
export function decodeCarHeader(header: Uint8Array, refuse: Refuse): CID[] {
  let value: unknown
  try {
    value = dagCbor.decode(header)
  } catch (cause) {
    return refuse('its header is not dag-cbor', cause)
  }
  if (typeof value !== 'object' || value === null || !('version' in value)) return refuse('its header has no version')
  const { version, ...rest } = value
  if (typeof version !== 'number') return refuse('its version is not a number')
  if (version !== 1) throw new UnsupportedError(`a CAR of version ${version} is not read here; 1 is, and 2 around it`)
  if (!('roots' in rest) || !Array.isArray(rest.roots)) return refuse('its header has no list of roots')
  if (Object.keys(rest).length > 1) return refuse('its header has more than version and roots')
  return rest.roots.map((root: unknown) => {
    const cid = CID.asCID(root)
    return cid === null ? refuse('one of its roots is not a CID') : readCidBytes(cid.bytes, refuse).cid
  })
}

/**
 * Where in a CARv2 the CARv1 lies. The index behind it is not looked at.
 *
 * @param header - The 40 bytes after the pragma.
 * @returns First byte and the byte after the last one, from the start of the CARv2.
 */
export function decodeV2Header(header: Uint8Array, refuse: Refuse): { start: number; end: number } {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  const [start, size] = [view.getBigUint64(16, true), view.getBigUint64(24, true)]
  if (start < V2_FIRST_DATA_OFFSET) return refuse(`its data begins inside its header, at byte ${start}`)
  // What a writer leaves that did not finish.
  if (size === 0n) return refuse('it says that it has no data')
  if (start + size > BigInt(Number.MAX_SAFE_INTEGER)) return refuse('it says that it is over 2^53 bytes long')
  return { start: Number(start), end: Number(start + size) }
}
