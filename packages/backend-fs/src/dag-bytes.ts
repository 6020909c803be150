import { decodeNode, encodeWrappedLeaf, RAW, type CID, type Outboard } from '@x/cid'

import { cidOfKey, keyOf } from './layout.ts'

/** Bytes of all blocks of a file's DAG, counted once per link: what Tsize of a link to it says. */
export async function dagBytesOf(outboard: Outboard): Promise<number> {
  const { root, fileBytes, nodes } = outboard
  const wrapped = new Map<number, number>()
  const leafBytes = async (cid: CID, length: number): Promise<number> => {
    if (cid.code === RAW) return length
    const known = wrapped.get(length) ?? (await encodeWrappedLeaf(1, new Uint8Array(length))).bytes.length
    wrapped.set(length, known)
    return known
  }
  const below = new Map<string, number>()
  // Children come before their parents.
  for (const [key, bytes] of nodes) {
    const cid = cidOfKey(key)
    const node = cid && decodeNode(cid, bytes)
    if (node?.type !== 'file') continue
    let sum = bytes.length
    for (const child of node.children) {
      sum += below.get(keyOf(child.cid)) ?? (await leafBytes(child.cid, child.fileBytes))
    }
    below.set(key, sum)
  }
  return below.get(keyOf(root)) ?? leafBytes(root, fileBytes)
}
