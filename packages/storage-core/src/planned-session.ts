import { decodeNode, MAX_BLOCK_BYTES, type CID, type GetBlock, type UnixfsNode } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { BlockSession, BlockSource, SessionOptions } from './block-source.ts'
import { untilAborted } from './lock.ts'

const DAG_PB = 0x70
const IDENTITY = 0x00

export interface AheadOptions {
  /** Most blocks that are asked for before their turn. Default 4. */
  aheadBlocks?: number | undefined
  /** Most bytes of these, as far as their parents say. Default 16 MiB. */
  aheadBytes?: number | undefined
}

// Of a block whose size its parent does not say. Most are smaller.
const UNKNOWN_BYTES = 256 * 1024

/** A block that will be asked for. */
interface Want {
  cid: CID
  key: string
  /** About how long it is. */
  bytes: number
  /** Of these bytes, what is wanted. */
  from: number
  to: number
  wasAsked: boolean
}

const toWant = (cid: CID, bytes = UNKNOWN_BYTES, from = 0, to = Infinity): Want => {
  return { cid, key: blockKey(cid), bytes, from, to, wasAsked: false }
}

/** One block on its way, for every want of it. */
interface Coming {
  bytes: Promise<Uint8Array>
  wants: number
}

/** The source's own session, else one that asks for blocks ahead. */
export function openSession(source: BlockSource, root: CID, options: SessionOptions & AheadOptions = {}): BlockSession {
  if (source.openSession) return source.openSession(root, options)
  return createPlannedSession((cid, getOptions) => source.get(cid, getOptions), root, options)
}

/**
 * A session over single blocks. Each node that is handed on says which blocks come next in depth-first order; so many of
 * these are asked for before their turn. Of a file, what lies outside the range is not.
 *
 * @param fetch - Gives checked blocks, several at a time.
 */
export function createPlannedSession(
  fetch: GetBlock,
  root: CID,
  options: SessionOptions & AheadOptions = {},
): BlockSession {
  const { offset = 0, length = Infinity, scope = 'all', held, onFetched, signal } = options
  const { aheadBlocks = 4, aheadBytes = 16 * 1024 * 1024 } = options
  const get: GetBlock = async (cid, given) => {
    const ours = await held?.(cid, given)
    if (ours) return ours
    const bytes = await fetch(cid, given)
    onFetched?.(bytes.length)
    return bytes
  }
  const closing = new AbortController()
  const whileOpen = signal ? AbortSignal.any([signal, closing.signal]) : closing.signal
  /** The last is the next. */
  const plan: Want[] = [toWant(root, undefined, offset, offset + length)]
  const coming = new Map<string, Coming>()

  function ask(want: Want): void {
    const { cid, key } = want
    want.wasAsked = true
    const known = coming.get(key)
    if (known) {
      known.wants += 1
      return
    }
    const bytes = get(cid, { signal: whileOpen })
    // Whoever asks for it hears of a failure.
    bytes.catch(() => undefined)
    coming.set(key, { bytes, wants: 1 })
  }

  /** What was asked for ahead; a copy where another want needs it too. */
  function take({ key, wasAsked }: Want): Promise<Uint8Array> | undefined {
    const known = wasAsked ? coming.get(key) : undefined
    if (!known) return undefined
    known.wants -= 1
    if (known.wants > 0) return known.bytes.then((bytes) => bytes.slice())
    coming.delete(key)
    return known.bytes
  }

  function askAhead(): void {
    let bytes = 0
    // Those behind the next ones were asked for before what now comes first was known; they must not pile up either.
    for (let index = plan.length - 1; index >= plan.length - aheadBlocks && coming.size < 2 * aheadBlocks; index--) {
      const want = plan[index]
      if (want === undefined) return
      bytes += want.bytes
      if (bytes > aheadBytes) return
      if (!want.wasAsked && want.cid.multihash.code !== IDENTITY) ask(want)
    }
  }

  /** Goes on to `cid`. What is passed over will not be asked for any more. */
  function advanceTo(cid: CID): { want: Want; bytes: Promise<Uint8Array> } | undefined {
    const key = blockKey(cid)
    const at = plan.findLastIndex((want) => want.key === key)
    if (at < 0) return undefined
    for (const passed of plan.splice(at + 1)) void take(passed)
    const want = plan.pop()
    return want && { want, bytes: take(want) ?? get(cid, { signal: whileOpen }) }
  }

  function follow(want: Want, block: Uint8Array): void {
    const node = nodeOf(want.cid, block)
    if (node === undefined || node.type === 'symlink') return
    if (node.type === 'file') plan.push(...fileWants(want, node).toReversed())
    else plan.push(...directoryWants(node).toReversed())
  }

  function fileWants({ from, to }: Want, { data, children }: UnixfsNode & { type: 'file' }): Want[] {
    const wants: Want[] = []
    if (to <= from) return wants
    let start = data.length
    for (const { cid, fileBytes } of children) {
      const end = start + fileBytes
      // As `readFile` does: an empty child touches no range.
      if (fileBytes > 0 && end > from && start < to) {
        // What holds more than a block can is an interior node.
        const bytes = fileBytes > MAX_BLOCK_BYTES ? UNKNOWN_BYTES : fileBytes
        wants.push(toWant(cid, bytes, from - start, to - start))
      }
      start = end
    }
    return wants
  }

  function directoryWants(node: UnixfsNode & { type: 'directory' | 'shard' }): Want[] {
    const isShard = (name: string): boolean => node.type === 'shard' && name.length === node.prefixLength
    return node.links.filter(({ name }) => scope === 'all' || isShard(name)).map(({ cid }) => toWant(cid))
  }

  return {
    get: async (cid, { signal: ofCall }) => {
      ofCall?.throwIfAborted()
      whileOpen.throwIfAborted()
      const next = advanceTo(cid)
      if (next === undefined) return get(cid, { signal: ofCall ? AbortSignal.any([ofCall, whileOpen]) : whileOpen })
      askAhead()
      const block = await untilAborted(next.bytes, ofCall)
      if (cid.code === DAG_PB) {
        follow(next.want, block)
        askAhead()
      }
      return block
    },
    async close() {
      closing.abort(new Error('the session was closed'))
      plan.length = 0
      await Promise.allSettled([...coming.values()].map(({ bytes }) => bytes))
      coming.clear()
    },
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
