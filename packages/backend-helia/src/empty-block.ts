import { CID } from '@x/cid'

/**
 * `bafkqaaa`, a block of no bytes in its CID: what gateways and routers are asked for to see whether they answer.
 *
 * @see https://specs.ipfs.tech/http-gateways/trustless-gateway/
 */
export const EMPTY_BLOCK: CID = CID.decode(Uint8Array.of(1, 0x55, 0, 0))
