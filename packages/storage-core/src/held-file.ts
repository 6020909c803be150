import { DAG_PB, decodeNode, RAW, type BuiltFile, type CID, type GetBlock } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { AbortOptions } from './blockstore.ts'
import { BlockNotFoundError } from './errors.ts'
import type { FileSource } from './source.ts'

/**
 * A file that a store holds already, as part of something that is added to it: it is neither read nor copied again.
 *
 * @param open - For a store that does not hold it. Default: such a store finds nothing to read.
 */
export function heldFile(root: CID, { size, open }: { size?: number; open?: FileSource['open'] } = {}): FileSource {
  return { type: 'file', held: root, size, open: open ?? (() => missing(root)) }
}

// Asked for pieces by a store that does not hold it.
const missing = (root: CID): AsyncIterable<Uint8Array> => ({
  [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new BlockNotFoundError(root)) }),
})

export interface HeldFileReader {
  /** Called before a block is relied on, so that it stays. `false`: it is not held. */
  keep: (cid: CID, options: AbortOptions) => Promise<boolean>
  getBlock: GetBlock
}

/** What a file of blocks that are held comes to; `undefined` where one is missing, or it is no file. Leaves are not read. */
export async function measureHeld(
  { keep, getBlock }: HeldFileReader,
  root: CID,
  options: AbortOptions,
): Promise<BuiltFile | undefined> {
  const known = new Map<string, BuiltFile | undefined>()

  async function measure(cid: CID, fileBytes: number | undefined): Promise<BuiltFile | undefined> {
    options.signal?.throwIfAborted()
    const key = blockKey(cid)
    if (known.has(key)) return known.get(key)
    known.set(key, undefined)
    const built = (await keep(cid, options)) ? await read(cid, fileBytes) : undefined
    known.set(key, built)
    return built
  }

  async function read(cid: CID, length: number | undefined): Promise<BuiltFile | undefined> {
    if (cid.code === RAW && length !== undefined) return { cid, fileBytes: length, dagBytes: length }
    if (cid.code !== RAW && cid.code !== DAG_PB) return undefined
    const bytes = await getBlock(cid, options)
    const node = decodeNode(cid, bytes)
    if (node.type !== 'file') return undefined
    let dagBytes = bytes.length
    for (const child of node.children) {
      const below = await measure(child.cid, child.fileBytes)
      if (!below) return undefined
      dagBytes += below.dagBytes
    }
    return { cid, fileBytes: node.fileBytes, dagBytes }
  }

  return measure(root, undefined)
}
