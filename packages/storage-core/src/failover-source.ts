import type { CID, GetBlock } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { BlockSession, BlockSource, SessionOptions } from './block-source.ts'
import type { AbortOptions } from './blockstore.ts'
import { createContentSource } from './content-source.ts'
import type { ContentSource, StoreStatus } from './content-store.ts'
import { codeOf } from './error-code.ts'
import { BackendError, BlockNotFoundError } from './errors.ts'
import { openSession } from './planned-session.ts'

/** A source did not give a block, and the next one is asked. */
export interface Failover {
  cid: CID
  /** The source's name. */
  source: string
  error: unknown
}

export interface FailoverOptions {
  /** Default `a+b`, of the sources' names. */
  name?: string | undefined
  /** Called before the next one is asked, and after the last. */
  onFailover?: ((failover: Failover) => void) | undefined
}

type Failure = Pick<Failover, 'source' | 'error'>

// Nodes of the DAG that another source's session is shown, so that it knows where it is.
const MOST_NODES = 64
const DAG_PB = 0x70

/**
 * Several sources as one, asked in order. In a session the one that answered last is asked first; when it does not have a
 * block, fails or lies, the next goes on from there, and one that failed or lied is not asked again. Closing it closes them.
 *
 * What no source gives is `NOT_FOUND` where all say so, else `BACKEND` with what each said.
 */
export function createFailoverSource(
  sources: readonly ContentSource[],
  { name = sources.map((source) => source.name).join('+'), onFailover }: FailoverOptions = {},
): ContentSource {
  async function firstOf<T>(
    cid: CID,
    signal: AbortSignal | undefined,
    candidates: readonly { source: string; ask: () => Promise<T> }[],
  ): Promise<T> {
    const failures: Failure[] = []
    for (const { source, ask } of candidates) {
      try {
        return await ask()
      } catch (error) {
        signal?.throwIfAborted()
        if (codeOf(error) === undefined) throw error
        failures.push({ source, error })
        onFailover?.({ cid, source, error })
      }
    }
    throw toOne(cid, failures)
  }

  const blocks: BlockSource = {
    name,
    async has(cid, options = {}) {
      let cannotTell: unknown
      for (const source of sources) {
        try {
          if (await source.blocks.has(cid, options)) return true
        } catch (error) {
          options.signal?.throwIfAborted()
          if (codeOf(error) === undefined) throw error
          cannotTell ??= error
        }
      }
      if (cannotTell !== undefined) throw cannotTell
      return false
    },
    get: (cid, options = {}) =>
      firstOf(
        cid,
        options.signal,
        sources.map((source) => ({ source: source.name, ask: () => source.blocks.get(cid, options) })),
      ),
    openSession: openFailoverSession,
    close: async () => {
      const closed = await Promise.allSettled(sources.map((source) => source.close()))
      for (const result of closed) if (result.status === 'rejected') throw result.reason
    },
  }
  function openFailoverSession(root: CID, options: SessionOptions = {}): BlockSession {
    /** Those that neither failed nor lied. */
    const left = new Set(sources)
    const nodes = createNodeMemory()
    const held: SessionOptions['held'] = async (cid, given) => (await options.held?.(cid, given)) ?? nodes.get(cid)
    let current: { source: ContentSource; session: BlockSession } | undefined
    let isClosed = false

    const sessionOf = async (source: ContentSource, given: AbortOptions): Promise<BlockSession> => {
      if (current?.source === source) return current.session
      await current?.session.close()
      const session = openSession(source.blocks, root, { ...options, held })
      current = { source, session }
      // So that it knows what comes next.
      for (const node of nodes.cids()) await session.get(node, given)
      return session
    }

    const getFrom = async (source: ContentSource, cid: CID, given: AbortOptions): Promise<Uint8Array> => {
      try {
        const bytes = await (await sessionOf(source, given)).get(cid, given)
        if (cid.code === DAG_PB) nodes.keep(cid, bytes)
        return bytes
      } catch (error) {
        if (codeOf(error) !== 'NOT_FOUND') left.delete(source)
        throw error
      }
    }

    const get: GetBlock = async (cid, given) => {
      if (isClosed) throw new BackendError(`${name}: the session was closed`, { retryable: false })
      const [first, ...others] = left
      if (first === undefined) throw new BackendError(`${name}: every source has failed`, { retryable: true })
      const order =
        current && left.has(current.source) ? [current.source, ...without(left, current.source)] : [first, ...others]
      return firstOf(
        cid,
        given.signal ?? options.signal,
        order.map((source) => ({ source: source.name, ask: () => getFrom(source, cid, given) })),
      )
    }

    return {
      get,
      async close() {
        isClosed = true
        await current?.session.close()
      },
    }
  }

  async function probe(options: AbortOptions): Promise<StoreStatus> {
    const started = performance.now()
    const probedAt = new Date().toISOString()
    const found = await Promise.all(sources.map((source) => source.status(options)))
    const available = found.some((status) => status.available)
    return {
      name,
      available,
      ...(!available && { reason: found.map((status) => `${status.name}: ${status.reason ?? ''}`).join('; ') }),
      probedAt,
      probeMs: performance.now() - started,
      details: Object.fromEntries(found.map((status) => [status.name, status.available])),
    }
  }

  return createContentSource({ blocks, probe })
}

const without = <T>(items: Iterable<T>, item: T): T[] => [...items].filter((other) => other !== item)

interface NodeMemory {
  get(cid: CID): Uint8Array | undefined
  keep(cid: CID, bytes: Uint8Array): void
  /** In the order in which they were kept. */
  cids(): CID[]
}

/** The nodes that were handed on last. */
function createNodeMemory(): NodeMemory {
  const nodes = new Map<string, { cid: CID; bytes: Uint8Array }>()
  return {
    get: (cid) => nodes.get(blockKey(cid))?.bytes.slice(),
    keep(cid, bytes) {
      nodes.set(blockKey(cid), { cid, bytes: bytes.slice() })
      const [oldest] = nodes.keys()
      if (nodes.size > MOST_NODES && oldest !== undefined) nodes.delete(oldest)
    },
    cids: () => Array.from(nodes.values(), ({ cid }) => cid),
  }
}

function toOne(cid: CID, failures: readonly Failure[]): Error {
  if (failures.every(({ error }) => codeOf(error) === 'NOT_FOUND')) return new BlockNotFoundError(cid)
  const [only] = failures
  if (failures.length === 1 && only?.error instanceof Error) return only.error
  const reasons = failures.map(({ source, error }) => `${source}: ${messageOf(error)}`)
  return new BackendError(`no source gives ${cid}: ${reasons.join('; ')}`, {
    retryable: failures.some(({ error }) => error instanceof BackendError && error.retryable),
    cause: new AggregateError(failures.map(({ error }) => error)),
  })
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
