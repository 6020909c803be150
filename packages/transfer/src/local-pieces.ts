import { leafCid, MAX_BLOCK_BYTES, PROFILES } from '@x/cid'
import type { AbortOptions, Blockstore } from '@x/storage-core'

/** A part of a file that other files may have too: a tensor, or a leaf. */
export interface KnownPiece {
  /** In the file that is wanted. */
  offset: number
  length: number
  /** 32 bytes. */
  sha256: Uint8Array
}

/** Bytes of a piece, from its own start. */
export interface LocalBytes {
  read(offset: number, length: number, options: AbortOptions): AsyncIterable<Uint8Array>
}

/** Bytes that are on this machine already. What they are is checked. */
export interface LocalPieces {
  /** `undefined`: no file here has it. */
  find(piece: KnownPiece, options?: AbortOptions): Promise<LocalBytes | undefined>
  /** It can be asked for each leaf of a file too, by the digest of its bytes. Default false. */
  readonly findsLeaves?: boolean | undefined
}

/** Where a piece lies in a file that is here. */
export interface PlacedPiece extends KnownPiece {
  /** Reads in that file, whose bytes `offset` counts. */
  from: LocalBytes
}

/** Pieces of files that are here, by their digests, wherever they lie. */
export function createLocalPieces(pieces: Iterable<PlacedPiece>): LocalPieces {
  const known = new Map<string, PlacedPiece>()
  for (const piece of pieces) known.set(nameOf(piece), piece)
  return {
    find: async (wanted) => {
      const piece = known.get(nameOf(wanted))
      return piece && { read: (offset, length, options) => piece.from.read(piece.offset + offset, length, options) }
    },
  }
}

const nameOf = ({ sha256, length }: KnownPiece): string => `${length} ${sha256.join(' ')}`

/** Raw leaves of files that a store holds, whatever these files are. */
export function heldLeaves(blocks: Blockstore): LocalPieces {
  return {
    findsLeaves: true,
    find: async ({ length, sha256 }, options) => {
      if (length > MAX_BLOCK_BYTES) return undefined
      const cid = leafCid(PROFILES['unixfs-v1-2025'], sha256)
      if (!(await blocks.has(cid, options))) return undefined
      return {
        async *read(offset, most, { signal }) {
          yield (await blocks.get(cid, { signal })).subarray(offset, offset + most)
        },
      }
    },
  }
}

/** Asks one after another. */
export function anyLocalPieces(all: readonly LocalPieces[]): LocalPieces {
  return {
    findsLeaves: all.some(({ findsLeaves }) => findsLeaves === true),
    find: async (piece, options) => {
      for (const one of all) {
        const found = await one.find(piece, options)
        if (found) return found
      }
      return undefined
    },
  }
}
