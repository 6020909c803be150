import { CID } from 'multiformats/cid'

import { InvalidInputError } from './errors.ts'
import { DAG_PB, IDENTITY, RAW } from './hash.ts'

/** A link that is to be followed. */
export interface PendingLink {
  cid: CID
  /** 0 for the root. */
  depth: number
  /** Where its bytes begin in the file, and how many its parent says there are. `undefined` where nobody says. */
  place: { start: number; fileBytes: number } | undefined
}

/** Links still to be followed in depth-first order, those of a node packed: about 36 bytes for each. */
export interface LinkStack {
  /**
   * Adds the links of the node that was popped last; the first of them comes next.
   *
   * @param places - `start` and `fileBytes` of each link, one after another. Default: not known.
   * @throws {InvalidInputError} Too many links are held.
   */
  push(links: readonly CID[], places?: readonly number[]): void
  pop(): PendingLink | undefined
}

/** The links of one node that are left. */
interface Level {
  cids: Uint8Array
  position: number
  places: Float64Array | undefined
  index: number
  depth: number
}

// Sixteen full blocks of 4 MiB, each below the other: no real DAG is like that.
const MAX_BYTES = 64 * 1024 * 1024

export function createLinkStack(root: CID): LinkStack {
  const levels: Level[] = []
  let held = 0
  let rootLeft = true
  let depth = 0

  const bytesOf = ({ cids, places }: Level): number => cids.length + (places?.byteLength ?? 0)

  return {
    push(links, places) {
      if (links.length === 0) return
      const level = {
        cids: pack(links),
        position: 0,
        places: places && new Float64Array(places),
        index: 0,
        depth: depth + 1,
      }
      held += bytesOf(level)
      levels.push(level)
      if (held <= MAX_BYTES) return
      const message = `${root}: its blocks have over ${MAX_BYTES} bytes of links that are still to be followed`
      throw new InvalidInputError(message, { input: root.toString() })
    },
    pop() {
      if (rootLeft) {
        rootLeft = false
        return { cid: root, depth, place: undefined }
      }
      const level = levels.at(-1)
      if (level === undefined) return undefined
      const { size } = CID.inspectBytes(level.cids.subarray(level.position, level.position + HEAD_BYTES))
      // Memory of its own, for it may be kept.
      const cid = CID.decode(level.cids.slice(level.position, level.position + size))
      const [start, fileBytes] = level.places?.subarray(2 * level.index) ?? []
      const place = start === undefined || fileBytes === undefined ? undefined : { start, fileBytes }
      level.position += size
      level.index += 1
      depth = level.depth
      if (level.position >= level.cids.length) {
        levels.pop()
        held -= bytesOf(level)
      }
      return { cid, depth, place }
    },
  }
}

/** Version, codec, hash function, digest length: numbers of at most 9 bytes. */
const HEAD_BYTES = 4 * 9

function pack(links: readonly CID[]): Uint8Array {
  const packed = new Uint8Array(links.reduce((sum, { bytes }) => sum + bytes.length, 0))
  let position = 0
  for (const { bytes } of links) {
    packed.set(bytes, position)
    position += bytes.length
  }
  return packed
}

/** A block that is nowhere but in its CID and has no links: there is nothing to read or to write. */
export const isInlineRaw = ({ code, multihash }: CID): boolean => code === RAW && multihash.code === IDENTITY

/** Whether `walkDag` has nothing to do for it. */
export const isInlineLeaf = ({ code, multihash }: CID): boolean => code !== DAG_PB && multihash.code === IDENTITY
