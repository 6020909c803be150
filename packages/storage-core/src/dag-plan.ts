import { DAG_PB, IDENTITY, type CID, type UnixfsNode } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { SessionOptions } from './block-source.ts'
import { decodeUnixfs } from './decode-unixfs.ts'

/** The file that a block is part of. */
export interface InFile {
  cid: CID
  /** The block's first byte in the file. */
  start: number
  /** Bytes of the file that are wanted end here. */
  end: number
}

/** A block that will be asked for, if the reader goes on in depth-first order. */
export interface Want {
  cid: CID
  key: string
  /** Of the bytes below it, what is wanted. */
  from: number
  to: number
  /** Bytes of the file below it; `undefined` when its parent does not say. */
  fileBytes: number | undefined
  /** `undefined` for one that may be a file or directory itself. */
  file: InFile | undefined
  scope: 'entity' | 'all'
}

export interface DagPlan {
  /**
   * Goes on to the next place of a block, and drops what is passed over, of which `passed` is what `upcoming` has given;
   * `undefined` when it is not planned, or far behind.
   */
  advanceTo(cid: CID): { want: Want; passed: Want[] } | undefined
  /** Puts back what was not read after all. */
  putBack(want: Want): void
  /** What comes below a block that was read. */
  follow(want: Want, bytes: Uint8Array): void
  /** The wants that come next, the first one first. */
  upcoming(count: number): Want[]
  /** Whether a block is planned, as far as `advanceTo` looks. */
  includes(cid: CID): boolean
}

/** What is below one node, as far as it is not planned yet. */
interface Branch {
  /** How many are left. */
  readonly left: number
  next(): Want | undefined
  /** Places of a block from here on, the next one being 0; -1 when it is not among the first `most`. */
  find(cid: CID, most: number): number
  /** Drops that many. */
  drop(count: number): void
}

/** So far ahead in each node a block is looked for: further than readers skip, and little work for one that is not there. */
const MOST_LOOKED_AT = 1024
/** Links that wait, over all nodes on the path. Beyond it the outermost are forgotten: what follows is read unplanned. */
const MOST_LINKS = 250_000

/**
 * What a reader of a DAG asks for next. Advice, not a promise: of a DAG that was made to fill the memory, part is
 * forgotten.
 */
export function createDagPlan(root: CID, options: SessionOptions): DagPlan {
  const { offset = 0, length = Infinity, scope = 'all' } = options
  const toWant = (cid: CID, rest: Partial<Want> = {}): Want => {
    return { cid, key: blockKey(cid), from: 0, to: Infinity, fileBytes: undefined, file: undefined, scope, ...rest }
  }
  /** The last is the next. A branch is what follows the wants that were taken from it. */
  let stack: (Want | Branch)[] = [toWant(root, { from: offset, to: offset + length })]

  /** As `readFile` goes: an empty child touches no range. An inline one is nowhere but in its CID. */
  function branchOfFile(want: Want, { data, children, fileBytes }: UnixfsNode & { type: 'file' }): Branch {
    const { from, to } = want
    const file = want.file ?? { cid: want.cid, start: 0, end: Math.min(fileBytes, to) }
    const places: { cid: CID; start: number; fileBytes: number }[] = []
    let start = data.length
    for (const child of children) {
      const end = start + child.fileBytes
      const isWanted = child.fileBytes > 0 && end > from && start < to && to > from
      if (isWanted && child.cid.multihash.code !== IDENTITY) places.push({ ...child, start })
      start = end
    }
    return createBranch(places, (place) =>
      toWant(place.cid, {
        from: from - place.start,
        to: to - place.start,
        fileBytes: place.fileBytes,
        file: { ...file, start: file.start + place.start },
      }),
    )
  }

  function branchOfDirectory(node: UnixfsNode & { type: 'directory' | 'shard' }): Branch {
    const isShard = (name: string): boolean => node.type === 'shard' && name.length === node.prefixLength
    const links = node.links.filter(
      ({ name, cid }) => (scope === 'all' || isShard(name)) && cid.multihash.code !== IDENTITY,
    )
    return createBranch(links, ({ cid }) => toWant(cid))
  }

  function forgetTooMany(): void {
    let links = 0
    for (let index = stack.length - 1; index >= 0; index--) {
      const planned = stack[index]
      if (planned && isBranch(planned)) links += planned.left
      if (links <= MOST_LINKS) continue
      stack = stack.slice(index + 1)
      return
    }
  }

  function find(cid: CID): { at: number; within: number } | undefined {
    for (let at = stack.length - 1; at >= 0; at--) {
      const planned = stack[at]
      if (!planned) continue
      const within = isBranch(planned) ? planned.find(cid, MOST_LOOKED_AT) : isSameBlock(planned.cid, cid) ? 0 : -1
      if (within >= 0) return { at, within }
    }
    return undefined
  }

  /** Takes the next want, out of its branch if need be. */
  function takeNext(): Want | undefined {
    for (let planned = stack.pop(); planned; planned = stack.pop()) {
      if (!isBranch(planned)) return planned
      const want = planned.next()
      if (planned.left > 0) stack.push(planned)
      if (want) return want
    }
    return undefined
  }

  return {
    advanceTo(cid) {
      const found = find(cid)
      if (!found) return undefined
      const passed = stack.slice(found.at + 1).filter((planned): planned is Want => !isBranch(planned))
      stack.length = found.at + 1
      const branch = stack.at(-1)
      if (branch && isBranch(branch)) branch.drop(found.within)
      const want = takeNext()
      return want && { want, passed }
    },
    putBack(want) {
      stack.push(want)
    },
    follow(want, bytes) {
      if (want.cid.code !== DAG_PB) return
      const node = decodeUnixfs(want.cid, bytes)
      if (node === undefined || node.type === 'symlink') return
      const branch = node.type === 'file' ? branchOfFile(want, node) : branchOfDirectory(node)
      if (branch.left === 0) return
      stack.push(branch)
      forgetTooMany()
    },
    upcoming(count) {
      const next: Want[] = []
      while (next.length < count) {
        const want = takeNext()
        if (!want) break
        next.push(want)
      }
      for (const want of next.toReversed()) stack.push(want)
      return next
    },
    includes: (cid) => find(cid) !== undefined,
  }
}

function createBranch<T extends { cid: CID }>(links: readonly T[], toWant: (link: T) => Want): Branch {
  let at = 0
  return {
    get left() {
      return links.length - at
    },
    next() {
      const link = links[at++]
      return link && toWant(link)
    },
    find(cid, most) {
      const end = Math.min(links.length, at + most)
      for (let index = at; index < end; index++) {
        const link = links[index]
        if (link && isSameBlock(link.cid, cid)) return index - at
      }
      return -1
    },
    drop(count) {
      at += count
    },
  }
}

const isBranch = (planned: Want | Branch): planned is Branch => 'next' in planned

/** CIDv0 and its CIDv1 twin are one block. Told without making text of each. */
function isSameBlock(a: CID, b: CID): boolean {
  if (a === b) return true
  if (a.code !== b.code) return false
  const [digest, other] = [a.multihash.bytes, b.multihash.bytes]
  if (digest.length !== other.length) return false
  // The last bytes differ first.
  for (let index = digest.length - 1; index >= 0; index--) if (digest[index] !== other[index]) return false
  return true
}
