import type { FileShape } from './file-tree.ts'
import { encodeUnixfsData } from './unixfs-data.ts'
import { wrapLeaf } from './unixfs-node.ts'

/**
 * Memory for the blocks of leaves, used over and over. A full chunk is copied to its place inside the block, where all
 * around it is the same for each, so that wrapping it costs nothing.
 */
export interface LeafFrame {
  /** Room for a full chunk. */
  take(): Uint8Array
  /** The block of a chunk in memory that was taken; of a full one, that memory. */
  blockOf(chunk: Uint8Array): Uint8Array
  /** The bytes of the file in a block that was elsewhere meanwhile. `chunk` is what it was made of. */
  chunkOf(block: Uint8Array, chunk: Uint8Array): Uint8Array
  giveBack(block: Uint8Array): void
}

export function createLeafFrame({ chunkBytes, rawLeaves }: FileShape): LeafFrame {
  const unused: Uint8Array[] = []
  const newBlock = (): Uint8Array => {
    const zeros = new Uint8Array(chunkBytes)
    return rawLeaves ? zeros : wrapLeaf(zeros)
  }
  const blockBytes = newBlock().length
  // What follows the chunk is the size of the file.
  const start = rawLeaves ? 0 : blockBytes - chunkBytes - sizeFieldBytes(chunkBytes)
  return {
    take: () => (unused.pop() ?? newBlock()).subarray(start, start + chunkBytes),
    blockOf: (chunk) => {
      if (chunk.length === chunkBytes) return new Uint8Array(chunk.buffer, chunk.byteOffset - start, blockBytes)
      return rawLeaves ? chunk : wrapLeaf(chunk)
    },
    chunkOf: (block, chunk) => {
      if (block.length === blockBytes) return block.subarray(start, start + chunkBytes)
      return rawLeaves ? block : chunk
    },
    giveBack: (block) => {
      // The last one may be shorter.
      if (block.length === blockBytes) unused.push(block)
    },
  }
}

/** After the type, two bytes, an empty leaf has its size alone. */
const sizeFieldBytes = (fileSize: number): number => encodeUnixfsData({ type: 'file', fileSize }).length - 2
