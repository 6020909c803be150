import { decodeNode, type CID, type GetBlock } from '@x/cid'

const RAW = 0x55
const DAG_PB = 0x70

/** Blocks that are read before they are asked for: disk and hash are then busy at the same time. */
const AHEAD = 4

/** Reads raw leaves ahead for a reader that walks a DAG depth-first, and holds so many of them at most. */
export function createReadAhead(get: GetBlock): GetBlock {
  /** What the node that was read last links to, in its order. */
  let links: readonly CID[] = []
  /** Up to here they were asked for or passed over. */
  let asked = 0
  let started = 0
  /** By place in `links`. */
  const reading = new Map<number, Promise<Uint8Array>>()

  const getLeaf: GetBlock = (leaf, options) => {
    const at = links.findIndex((link, index) => index >= asked && link.equals(leaf))
    if (at < 0) return get(leaf, options)
    const mine = reading.get(at) ?? get(leaf, options)
    for (; asked <= at; asked++) reading.delete(asked)
    for (started = Math.max(started, asked); started < asked + AHEAD; started++) {
      const next = links[started]
      if (next?.code !== RAW) continue
      const bytes = get(next, options)
      // Whoever asks for it hears of a failure.
      bytes.catch(() => undefined)
      reading.set(started, bytes)
    }
    return mine
  }

  return async (cid, options) => {
    if (cid.code === RAW) return getLeaf(cid, options)
    const bytes = await get(cid, options)
    if (cid.code !== DAG_PB) return bytes
    links = leavesOf(cid, bytes)
    asked = started = 0
    reading.clear()
    return bytes
  }
}

function leavesOf(cid: CID, bytes: Uint8Array): CID[] {
  try {
    const node = decodeNode(cid, bytes)
    return node.type === 'file' ? node.children.map((child) => child.cid) : []
  } catch {
    // It is no UnixFS. What it links to is for the reader to find.
    return []
  }
}
