import { DAG_PB, IDENTITY, MAX_BLOCK_BYTES, type CID, type GetBlock } from '@x/cid'

import type { BlockSession, BlockSource, SessionOptions } from './block-source.ts'
import { createDagPlan, type Want } from './dag-plan.ts'
import { BackendError } from './errors.ts'
import { untilAborted } from './lock.ts'

export interface AheadOptions {
  /** Most blocks that are asked for before their turn. Default 4. */
  aheadBlocks?: number | undefined
  /** Most bytes of these, as far as their parents say. Default 16 MiB. */
  aheadBytes?: number | undefined
}

// Of a block whose size its parent does not say. Most are smaller.
const UNKNOWN_BYTES = 256 * 1024

/** One block on its way, for every want of it. */
interface Coming {
  bytes: Promise<Uint8Array>
  wants: number
  stop: AbortController
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
  const { held, onFetched, signal } = options
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
  const plan = createDagPlan(root, options)
  /** Of the plan, what was asked for before its turn. */
  const asked = new Set<Want>()
  const coming = new Map<string, Coming>()
  /** Of all that is on its way and was asked for ahead, whether it is still wanted or is being read. */
  const stops = new Set<AbortController>()
  whileOpen.addEventListener('abort', () => stops.forEach((stop) => stop.abort(whileOpen.reason)), { once: true })

  function ask(want: Want): void {
    const { cid, key } = want
    asked.add(want)
    const known = coming.get(key)
    if (known) {
      known.wants += 1
      return
    }
    const stop = new AbortController()
    const bytes = get(cid, { signal: stop.signal })
    stops.add(stop)
    const settled = (): void => void stops.delete(stop)
    // Whoever asks for it hears of a failure.
    bytes.then(settled, settled)
    coming.set(key, { bytes, wants: 1, stop })
  }

  /** What was asked for ahead; a copy where another want needs it too. */
  function take(want: Want): Promise<Uint8Array> | undefined {
    const known = asked.delete(want) ? coming.get(want.key) : undefined
    if (!known) return undefined
    known.wants -= 1
    if (known.wants > 0) return known.bytes.then((bytes) => bytes.slice())
    coming.delete(want.key)
    return known.bytes
  }

  /** So that what is passed over does not pile up on its way. */
  function pass(want: Want): void {
    const known = asked.delete(want) ? coming.get(want.key) : undefined
    if (!known) return
    known.wants -= 1
    if (known.wants > 0) return
    coming.delete(want.key)
    known.stop.abort(new Error('it was passed over'))
  }

  function askAhead(): void {
    let bytes = 0
    for (const want of plan.upcoming(aheadBlocks)) {
      // Those behind the next ones were asked for before what now comes first was known; they must not pile up either.
      if (coming.size >= 2 * aheadBlocks) return
      bytes += aboutBytes(want)
      if (bytes > aheadBytes) return
      if (!asked.has(want) && want.cid.multihash.code !== IDENTITY) ask(want)
    }
  }

  /** Goes on to `cid`. What is passed over will not be asked for any more. */
  function advanceTo(cid: CID): { want: Want; bytes: Promise<Uint8Array> } | undefined {
    const next = plan.advanceTo(cid)
    if (!next) return undefined
    for (const passed of next.passed) pass(passed)
    const { want } = next
    return { want, bytes: take(want) ?? get(cid, { signal: whileOpen }) }
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
        plan.follow(next.want, block)
        askAhead()
      }
      return block
    },
    async close() {
      closing.abort(new BackendError(`the session of ${root} was closed`, { retryable: false }))
      asked.clear()
      // Only their end is waited for: nobody asked for them yet.
      await Promise.allSettled([...coming.values()].map(({ bytes }) => bytes))
      coming.clear()
    },
  }
}

/** About how long a block is. What holds more than a block can is a node. */
const aboutBytes = ({ fileBytes }: Want): number =>
  fileBytes === undefined || fileBytes > MAX_BLOCK_BYTES ? UNKNOWN_BYTES : fileBytes
