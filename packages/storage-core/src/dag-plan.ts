import { DAG_PB, decodeNode, type CID, type UnixfsNode } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { SessionOptions } from './block-source.ts'

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
  /** Goes on to the next place of a block, and drops what is passed over; `undefined` when it is not planned. */
  advanceTo(cid: CID): { want: Want; passed: Want[] } | undefined
  /** Puts back what was not read after all. */
  putBack(want: Want): void
  /** What comes below a block that was read. */
  follow(want: Want, bytes: Uint8Array): void
  /** The wants that come next, the first one first. */
  upcoming(count: number): Want[]
  includes(key: string): boolean
}

/** What a reader of a DAG asks for next. */
export function createDagPlan(root: CID, options: SessionOptions): DagPlan {
  const { offset = 0, length = Infinity, scope = 'all' } = options
  const toWant = (cid: CID, rest: Partial<Want> = {}): Want => {
    return { cid, key: blockKey(cid), from: 0, to: Infinity, fileBytes: undefined, file: undefined, scope, ...rest }
  }
  /** The last is the next. */
  const wants: Want[] = [toWant(root, { from: offset, to: offset + length })]

  /** As `readFile` goes: an empty child touches no range. */
  function fileWants(want: Want, { data, children, fileBytes }: UnixfsNode & { type: 'file' }): Want[] {
    const { from, to } = want
    const file = want.file ?? { cid: want.cid, start: 0, end: Math.min(fileBytes, to) }
    const below: Want[] = []
    if (to <= from) return below
    let start = data.length
    for (const child of children) {
      const end = start + child.fileBytes
      if (child.fileBytes > 0 && end > from && start < to) {
        below.push(
          toWant(child.cid, {
            from: from - start,
            to: to - start,
            fileBytes: child.fileBytes,
            file: { ...file, start: file.start + start },
          }),
        )
      }
      start = end
    }
    return below
  }

  function directoryWants(node: UnixfsNode & { type: 'directory' | 'shard' }): Want[] {
    const isShard = (name: string): boolean => node.type === 'shard' && name.length === node.prefixLength
    return node.links.filter(({ name }) => scope === 'all' || isShard(name)).map(({ cid }) => toWant(cid))
  }

  return {
    advanceTo(cid) {
      const key = blockKey(cid)
      const at = wants.findLastIndex((want) => want.key === key)
      if (at < 0) return undefined
      const passed = wants.splice(at + 1)
      const want = wants.pop()
      return want && { want, passed }
    },
    putBack(want) {
      wants.push(want)
    },
    follow(want, bytes) {
      if (want.cid.code !== DAG_PB) return
      const node = nodeOf(want.cid, bytes)
      if (node === undefined || node.type === 'symlink') return
      wants.push(...(node.type === 'file' ? fileWants(want, node) : directoryWants(node)).toReversed())
    },
    upcoming: (count) => wants.slice(-count).toReversed(),
    includes: (key) => wants.some((want) => want.key === key),
  }
}

/** `undefined` for what is no UnixFS. What it links to is for the reader to find. */
function nodeOf(cid: CID, bytes: Uint8Array): UnixfsNode | undefined {
  try {
    return decodeNode(cid, bytes)
  } catch {
    return undefined
  }
}
