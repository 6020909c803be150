import { decodeNode, type CID, type UnixfsNode } from '@x/cid'

import { codeOf } from './error-code.ts'

/**
 * A checked block as UnixFS; `undefined` for one that is of another kind, or contradicts itself. For who looks ahead: what is
 * wrong with it, who reads it says.
 */
export function decodeUnixfs(cid: CID, bytes: Uint8Array): UnixfsNode | undefined {
  try {
    return decodeNode(cid, bytes)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'INVALID_INPUT' || code === 'UNSUPPORTED') return undefined
    throw error
  }
}
