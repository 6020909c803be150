import { IDENTITY, type CID } from '@x/cid'
import {
  BackendError,
  BlockNotFoundError,
  createContentSource,
  type AbortOptions,
  type BlockSource,
  type ContentSource,
  type StoreStatus,
} from '@x/storage-core'
import { codeOf, linkedController, promiseChecked } from '@x/storage-core/backend'

import { createBlockCache } from './block-cache.ts'
import { createDagSession } from './dag-session.ts'
import { hedged, type Pool } from './hedge.ts'
import type { AskOptions, Upstream } from './upstream.ts'

const CACHE_BYTES = 8 * 1024 * 1024

export interface PoolSourceOptions {
  name: string
  pool: Pool
  aheadBlocks: number
  readAheadBytes: number
}

/** Content from several upstreams that are the same to the reader. */
export function createPoolSource({ name, pool, aheadBlocks, readAheadBytes }: PoolSourceOptions): ContentSource {
  const cache = createBlockCache({ maxBytes: CACHE_BYTES })
  const closing = new AbortController()

  /** A task that ends when the source is closed. */
  async function whileOpen<T>(task: (signal: AbortSignal) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const { controller, release } = linkedController(signal, closing.signal)
    try {
      controller.signal.throwIfAborted()
      return await task(controller.signal)
    } finally {
      release()
    }
  }

  async function has(cid: CID, { signal }: AbortOptions = {}): Promise<boolean> {
    if (cid.multihash.code === IDENTITY || cache.get(cid)) return true
    const ask = async (upstream: Upstream, options: AskOptions): Promise<true> => {
      if (await upstream.has(cid, options)) return true
      throw new BlockNotFoundError(cid)
    }
    try {
      await whileOpen((either) => hedged(pool, { cid, signal: either, liars: new Map(), ask }), signal)
      return true
    } catch (error) {
      if (codeOf(error) === 'NOT_FOUND') return false
      throw error
    }
  }

  async function get(cid: CID, { signal }: AbortOptions = {}): Promise<Uint8Array> {
    if (cid.multihash.code === IDENTITY) return cid.multihash.digest.slice()
    const known = cache.get(cid)
    if (known) return known
    const ask = (upstream: Upstream, options: AskOptions): Promise<Uint8Array> => upstream.block(cid, options)
    const { value } = await whileOpen((either) => hedged(pool, { cid, signal: either, liars: new Map(), ask }), signal)
    cache.add(cid, value)
    return value
  }

  const openSession: BlockSource['openSession'] = (root, options = {}) => {
    const { controller, release } = linkedController(options.signal, closing.signal)
    const session = createDagSession(root, {
      ...options,
      signal: controller.signal,
      pool,
      cache,
      aheadBlocks,
      readAheadBytes,
    })
    return {
      get: session.get,
      async close() {
        release()
        await session.close()
      },
    }
  }

  return createContentSource({
    blocks: promiseChecked({
      name,
      has,
      get,
      openSession,
      async close() {
        closing.abort(new BackendError(`${name} was closed`, { retryable: false }))
      },
    }),
    probe: (options) => probe(name, pool.upstreams, options),
  })
}

/** Available when one of them is. */
async function probe(name: string, upstreams: readonly Upstream[], { signal }: AbortOptions): Promise<StoreStatus> {
  const started = performance.now()
  const probedAt = new Date().toISOString()
  const answers = await Promise.all(
    upstreams.map(async (upstream) => {
      const began = performance.now()
      try {
        await upstream.probe({ signal })
        return { upstream, probeMs: performance.now() - began }
      } catch (error) {
        signal?.throwIfAborted()
        return { upstream, reason: error instanceof Error ? error.message : String(error) }
      }
    }),
  )
  const reasons = answers.flatMap(({ reason }) => reason ?? [])
  const available = reasons.length < upstreams.length
  return {
    name,
    available,
    ...(!available && { reason: reasons.join('; ') }),
    probedAt,
    probeMs: performance.now() - started,
    details: Object.fromEntries(
      answers.map(({ upstream, probeMs, reason }) => [upstream.label, describe(upstream, probeMs, reason)]),
    ),
  }
}

function describe({ health }: Upstream, probeMs: number | undefined, reason: string | undefined): string {
  const { failures, lies, bytesPerSecond } = health
  return [
    reason ?? `available, ${Math.round(probeMs ?? 0)} ms`,
    bytesPerSecond === undefined ? [] : `${(bytesPerSecond / 1e6).toFixed(1)} MB/s`,
    failures === 0 ? [] : `${failures} failures in a row`,
    lies === 0 ? [] : `${lies} times wrong bytes`,
  ]
    .flat()
    .join(', ')
}
