import { DAG_PB, IDENTITY, MAX_BLOCK_BYTES, type CID } from '@x/cid'
import { BackendError, type AbortOptions, type BlockSession, type SessionOptions } from '@x/storage-core'
import { blockKey, createDagPlan, linkedController, StallError, untilAborted, type Want } from '@x/storage-core/backend'

import type { BlockCache } from './block-cache.ts'
import { causeOf, HttpStatusError, StreamRefusedError } from './failure.ts'
import { createFeed, heldBytesOf, type Feed } from './feed.ts'
import { hedged, type Liars, type Pool } from './hedge.ts'
import { isMany } from './is-many.ts'
import { noteUnwanted, type Pulse } from './read-body.ts'
import type { Upstream } from './upstream.ts'

// Of what a stream sends and nobody asked for, in a row: enough for the nodes on the way to a place, and for some leaves
// that are held already.
const MOST_SKIPPED_BYTES = 4 * 1024 * 1024
// Blocks in a row that a stream leaves out, and that are asked for one by one, before another stream is begun instead.
const MOST_LEFT_OUT = 3

export interface DagSessionOptions extends SessionOptions {
  pool: Pool
  cache: BlockCache
  /** Most blocks that are asked for one by one before their turn. */
  aheadBlocks: number
  /** Most bytes of a stream that are read before they are asked for. */
  readAheadBytes: number
}

/** A block, and what comes after it where it came in a stream. */
interface Given {
  bytes: Uint8Array
  flow: Flow | undefined
}

interface Asking {
  signal: AbortSignal
  pulse: Pulse
}

/** A stream of one upstream. */
interface Flow {
  upstream: Upstream
  feed: Feed
  pulse: Pulse
  stop(): void
}

/**
 * A DAG from several upstreams. Blocks come in streams where there are some: each begins with what is missing, and goes on
 * while the reader asks in its order. What is not in it is asked for one by one.
 */
export function createDagSession(root: CID, options: DagSessionOptions): BlockSession {
  const { pool, cache, held, onFetched, aheadBlocks, readAheadBytes } = options
  const { controller: closing, release } = linkedController(options.signal)
  const whileOpen = closing.signal
  const plan = createDagPlan(root, options)
  const liars: Liars = new Map()
  /** Single blocks that were asked for before their turn. */
  const ahead = new Map<string, Promise<Uint8Array>>()
  let flow: Flow | undefined
  let leftOut = 0
  let turn: Promise<unknown> = Promise.resolve()

  function endFlow(): void {
    for (const { bytes } of flow?.feed.close() ?? []) onFetched?.(bytes.length)
    flow?.stop()
    flow = undefined
  }

  /**
   * Reads on to a block. What is planned for later stays in the stream, unless it comes again in it; but before the block
   * that a new stream is about come the nodes on the way to it, which may be planned again, as those of a file that is there
   * twice. Where these are known already, they are part of the question and count for nothing that was fetched.
   */
  async function takeFrom(
    { feed, pulse }: Pick<Flow, 'feed' | 'pulse'>,
    want: Want,
    { isNew }: { isNew: boolean },
  ): Promise<Uint8Array | Missing> {
    for (let skipped = 0; skipped <= MOST_SKIPPED_BYTES;) {
      const block = feed.peekNow() ?? (await feed.peek())
      if (block === undefined) return 'ended'
      const key = blockKey(block.cid)
      if (key !== want.key && !isNew && !feed.repeats && plan.includes(block.cid)) return 'left out'
      feed.shift()
      const isPb = block.cid.code === DAG_PB
      const isKnown = isPb && isNew && key !== want.key && cache.has(block.cid)
      if (!isKnown) onFetched?.(block.bytes.length)
      if (isPb || !feed.repeats) cache.add(block.cid, block.bytes)
      if (key === want.key) return block.bytes
      noteUnwanted(pulse, block)
      skipped += heldBytesOf(block)
    }
    return 'passed over'
  }

  /** A stream that begins with the block, or the block alone. */
  async function askFor(want: Want, upstream: Upstream, asked: Asking): Promise<Given> {
    const streamed = upstream.streams && isMany(want) ? await streamFrom(want, upstream, asked) : undefined
    if (streamed && typeof streamed !== 'string') return streamed
    const bytes = await upstream.block(want.cid, { ...asked, inOrder: true })
    // Only now is it known that it has the block.
    if (streamed) upstream.noteStream({ useless: streamed })
    return { bytes, flow: undefined }
  }

  /** A stream and its first block, or why there is none. */
  async function streamFrom(want: Want, upstream: Upstream, { signal, pulse }: Asking): Promise<Given | string> {
    // Outlives the question: it goes on with the blocks after this one.
    const { controller, release: releaseStream } = linkedController(whileOpen)
    const stop = (): void => {
      releaseStream()
      controller.abort(new Error('the stream is not needed any more'))
    }
    signal.addEventListener('abort', stop, { once: true })
    let feed: Feed | undefined
    let given: Given | undefined
    try {
      const stream = await upstream.stream(want, { signal: controller.signal, pulse })
      feed = createFeed(stream, { readAheadBytes })
      const bytes = await untilAborted(takeFrom({ feed, pulse }, want, { isNew: true }), signal)
      if (typeof bytes === 'string') return `a stream without the block it begins with: ${bytes}`
      upstream.noteStream('useful')
      const { file, from } = want
      const offset = (file?.start ?? 0) + Math.max(0, from)
      pool.onEvent({ type: 'stream-started', gateway: upstream.label, cid: file?.cid ?? want.cid, offset })
      given = { bytes, flow: { upstream, feed, pulse, stop } }
      return given
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof StreamRefusedError) return error.message
      // To break off may be its way of saying that it lacks this block; to hang, or to ask for patience, is not.
      const cause = causeOf(error)
      if (!(error instanceof BackendError) || cause instanceof StallError || cause instanceof HttpStatusError)
        throw error
      return error.message
    } finally {
      signal.removeEventListener('abort', stop)
      if (!given) {
        feed?.close()
        stop()
      }
    }
  }

  /** From whoever gives it first; the stream that is being read counts as asked. */
  async function fetch(want: Want, signal: AbortSignal): Promise<Uint8Array> {
    const before = flow
    const first = before && { ...before, answer: takeNext(before, want) }
    let given: Given
    try {
      const { value } = await hedged(pool, {
        cid: want.cid,
        signal,
        liars,
        first,
        ask: (upstream, asked) => askFor(want, upstream, asked),
        discard: (late) => {
          if (late.flow === before) return
          late.flow?.feed.close()
          late.flow?.stop()
        },
      })
      given = value
    } catch (error) {
      if (error instanceof MissingError && flow) return fetchMissing(want, error.missing, signal)
      endFlow()
      throw error
    }
    if (given.flow !== before) endFlow()
    flow = given.flow
    leftOut = 0
    if (!given.flow) {
      onFetched?.(given.bytes.length)
      cache.add(want.cid, given.bytes)
    }
    return given.bytes
  }

  async function takeNext(reading: Flow, want: Want): Promise<Given> {
    const bytes = await takeFrom(reading, want, { isNew: false })
    if (typeof bytes === 'string') throw new MissingError(bytes)
    return { bytes, flow: reading }
  }

  async function fetchMissing(want: Want, missing: Missing, signal: AbortSignal): Promise<Uint8Array> {
    leftOut += 1
    // What a stream gives once may be linked many times.
    if (missing === 'left out' && !isNode(want) && leftOut <= MOST_LEFT_OUT) return fetchAlone(want.cid, signal)
    endFlow()
    leftOut = 0
    return fetch(want, signal)
  }

  async function fetchAlone(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    const { value } = await hedged(pool, {
      cid,
      signal,
      liars,
      ask: (upstream, asked) => upstream.block(cid, { ...asked, inOrder: true }),
    })
    onFetched?.(value.length)
    cache.add(cid, value)
    return value
  }

  async function heldBlock(cid: CID, given: AbortOptions): Promise<Uint8Array | undefined> {
    if (cid.multihash.code === IDENTITY) return cid.multihash.digest.slice()
    return held?.(cid, given)
  }

  const canStream = (): boolean => pool.upstreams.some((upstream) => upstream.streams && !liars.has(upstream))

  /** What comes in no stream is asked for several at a time. */
  function askAhead(): void {
    if (flow) return
    for (const want of plan.upcoming(aheadBlocks)) {
      if (ahead.size >= aheadBlocks || (isMany(want) && canStream())) return
      if (ahead.has(want.key) || want.cid.multihash.code === IDENTITY) continue
      const bytes = Promise.resolve(heldBlock(want.cid, { signal: whileOpen })).then(
        (ours) => ours ?? cache.get(want.cid) ?? fetchAlone(want.cid, whileOpen),
      )
      // Whoever asks for it hears of a failure.
      bytes.catch(() => undefined)
      ahead.set(want.key, bytes)
    }
  }

  async function read(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    const next = plan.advanceTo(cid)
    for (const { key } of next?.passed ?? []) ahead.delete(key)
    if (!next) return (await heldBlock(cid, { signal })) ?? cache.get(cid) ?? fetchAlone(cid, signal)
    const { want } = next
    const bytes = await readWanted(want, signal).catch((error: unknown) => {
      plan.putBack(want)
      throw error
    })
    plan.follow(want, bytes)
    askAhead()
    return bytes
  }

  async function readWanted(want: Want, signal: AbortSignal): Promise<Uint8Array> {
    const arrived = flow?.feed.peekNow()
    if (flow && arrived && blockKey(arrived.cid) === want.key) {
      leftOut = 0
      const bytes = await takeFrom(flow, want, { isNew: false })
      if (typeof bytes !== 'string') return bytes
    }
    const early = ahead.get(want.key)
    if (early) {
      ahead.delete(want.key)
      return untilAborted(early, signal)
    }
    const ours = await heldBlock(want.cid, { signal })
    if (ours) return ours
    // A node that is known already is read again where a stream with all below it begins with it.
    const known = flow || !isMany(want) || !canStream() ? cache.get(want.cid) : undefined
    return known ?? fetch(want, signal)
  }

  return {
    get: async (cid, { signal }) => {
      signal?.throwIfAborted()
      whileOpen.throwIfAborted()
      // One after another: each says what comes next. What nobody waits for any more holds up nobody.
      const { controller, release: releaseCall } = linkedController(signal, whileOpen)
      const mine = turn.then(() => read(cid, controller.signal)).finally(releaseCall)
      // The one who asked hears of a failure; the next one asks for something else.
      turn = mine.catch(() => undefined)
      return untilAborted(mine, signal)
    },
    async close() {
      release()
      closing.abort(new BackendError(`the session of ${root} was closed`, { retryable: false }))
      endFlow()
      await Promise.allSettled([turn, ...ahead.values()])
      ahead.clear()
    },
  }
}

type Missing = 'ended' | 'left out' | 'passed over'

/** The stream that is being read does not give it. */
class MissingError extends Error {
  readonly missing: Missing
  constructor(missing: Missing) {
    super(missing)
    this.missing = missing
  }
}

/** Whether other blocks may lie below it. */
const isNode = ({ cid, file, fileBytes }: Want): boolean =>
  cid.code === DAG_PB && (!file || fileBytes === undefined || fileBytes > MAX_BLOCK_BYTES)
