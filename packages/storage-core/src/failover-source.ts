import { DAG_PB, type CID, type GetBlock } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { BlockSession, BlockSource, SessionOptions } from './block-source.ts'
import type { AbortOptions } from './blockstore.ts'
import { promiseAs } from './checked-blocks.ts'
import { createContentSource } from './content-source.ts'
import type { ContentSource, StoreStatus } from './content-store.ts'
import { codeOf } from './error-code.ts'
import { BackendError } from './errors.ts'
import { firstToAnswer } from './first-to-answer.ts'
import { untilAborted } from './lock.ts'
import { isRetryable, noSourceGave, type SourceFailure } from './no-source-gave.ts'
import { createNodePath, type PathNode } from './node-path.ts'
import { openSession } from './planned-session.ts'

/** A source did not give a block, and the next one is asked. */
export interface Failover {
  cid: CID
  /** The source's name. */
  source: string
  error: unknown
  /** Names of those that can still be asked for it. */
  left: readonly string[]
}

/** A block that one of the sources gave. */
export interface Given {
  cid: CID
  /** The source's name. */
  source: string
  bytes: Uint8Array
  durationMs: number
}

export interface FailoverOptions {
  /** Default `a+b`, of the sources' names. */
  name?: string | undefined
  /** Called before the next one is asked, and after the last. What it throws is the answer, and no other one is asked. */
  onFailover?: ((failover: Failover) => void) | undefined
  /** Called with each block, before it is handed on. */
  onGiven?: ((given: Given) => void) | undefined
  /**
   * After so many milliseconds without an answer of this source, the next one is asked too, and who is slower is stopped.
   * Default: the next one is asked once this one has failed.
   */
  hedgeAfterMs?: ((source: ContentSource) => number) | undefined
  /** Called where a source takes long, and the next one is asked too. */
  onHedge?: ((hedge: { cid: CID; source: string }) => void) | undefined
}

/** A session of one source. */
interface Opened {
  session: BlockSession
  /** The nodes that it has seen, so that it knows where the reader is. */
  path: readonly PathNode[]
  /** Settles when it has seen them. */
  ready: Promise<void>
  /** Calls that wait for it. */
  users: number
  /** Another one takes its place, and it ends with its last user. */
  retired: boolean
}

/**
 * Several sources as one, asked in order, the one that answered last first; when it does not have a block, fails or lies,
 * the next goes on from there. In a session, one that lied or failed for good is not asked again, and one that may work later
 * only when no other gives a block. Closing it closes them.
 *
 * What no source gives is `NOT_FOUND` where all say so, else `BACKEND` with what each said.
 */
export function createFailoverSource(sources: readonly ContentSource[], settings: FailoverOptions = {}): ContentSource {
  const { onFailover, onGiven, hedgeAfterMs, onHedge } = settings
  const name = settings.name ?? sources.map((source) => source.name).join('+')
  /** What a session had from its caller, and from no source. */
  const notGiven = new WeakSet<Uint8Array>()
  /** Who gave a block last. */
  let lastToAnswer: ContentSource | undefined

  /** @param assertWanted - Throws when nobody waits for the block any more. */
  async function firstOf(
    cid: CID,
    order: readonly ContentSource[],
    ask: (source: ContentSource, signal: AbortSignal | undefined) => Promise<Uint8Array>,
    { assertWanted, ruledOut }: { assertWanted: () => void; ruledOut?: (source: ContentSource) => unknown },
  ): Promise<Uint8Array> {
    const failures: SourceFailure[] = []
    const started = performance.now()
    const first = await firstToAnswer(order, ask, {
      delayMsOf: hedgeAfterMs,
      skips(source) {
        const earlier = ruledOut?.(source)
        if (earlier === undefined) return false
        failures.push({ source: source.name, error: earlier, earlier: true })
        return true
      },
      onFailure(source, error) {
        assertWanted()
        if (codeOf(error) === undefined) throw error
        failures.push({ source: source.name, error })
        const left = order.slice(order.indexOf(source) + 1).filter((other) => ruledOut?.(other) === undefined)
        onFailover?.({ cid, source: source.name, error, left: left.map((other) => other.name) })
      },
      onSlow: (source) => onHedge?.({ cid, source: source.name }),
    })
    if (!first) throw noSourceGave(cid, failures)
    lastToAnswer = first.item
    const { item, answer: bytes } = first
    if (!notGiven.has(bytes)) onGiven?.({ cid, source: item.name, bytes, durationMs: performance.now() - started })
    return bytes
  }

  const either: BlockSource = {
    name,
    async has(cid, options = {}) {
      let cannotTell: unknown
      for (const source of startingWith(lastToAnswer, sources)) {
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
        startingWith(lastToAnswer, sources),
        (source, stop) => source.blocks.get(cid, { ...options, signal: eitherOf(options.signal, stop) }),
        { assertWanted: () => options.signal?.throwIfAborted() },
      ),
    openSession: openFailoverSession,
    close: () => closeAll(sources.map((source) => source.close())),
  }
  const blocks = promiseAs(either, ...sources.map((source) => source.blocks))

  /** One session for each source that was needed, open until the end: blocks may be missing here and there by turns. */
  function openFailoverSession(root: CID, options: SessionOptions = {}): BlockSession {
    const nodes = createNodePath(root)
    /** Those that failed or lied, and how. */
    const dropped = new Map<ContentSource, unknown>()
    const sessions = new Map<ContentSource, Opened>()
    /** Those not told to close yet; then what they answer. */
    const open = new Set<Opened>()
    const closings = new Set<Promise<void>>()
    let current = lastToAnswer
    let isClosed = false

    function assertOpen(): void {
      if (isClosed) throw new BackendError(`${name}: the session was closed`, { retryable: false })
    }

    // Nothing is waited for between asking whether there is one and keeping it, so that there are never two.
    function sessionOf(source: ContentSource): Opened {
      const known = sessions.get(source)
      if (known && !known.retired) return known
      let opened: Opened | undefined
      const held: SessionOptions['held'] = async (cid, given) => {
        const key = blockKey(cid)
        const node = opened?.path.find((shown) => shown.key === key)
        const ours = node?.bytes.slice() ?? (await options.held?.(cid, given))
        if (ours) notGiven.add(ours)
        return ours
      }
      const session = openSession(source.blocks, root, { ...options, held })
      opened = { session, path: [], ready: Promise.resolve(), users: 0, retired: false }
      sessions.set(source, opened)
      open.add(opened)
      return opened
    }

    function end(opened: Opened): void {
      if (!open.delete(opened)) return
      const closing = opened.session.close()
      closings.add(closing)
      // One that fails stays, and `close` says so.
      closing.then(
        () => closings.delete(closing),
        () => undefined,
      )
    }

    async function show(opened: Opened, path: readonly PathNode[]): Promise<void> {
      try {
        for (const { cid } of path) await opened.session.get(cid, { signal: options.signal })
      } catch (error) {
        if (codeOf(error) === undefined) throw error
        // It asked for one ahead, in vain. It can go on, not knowing what comes next, and the one opened after it will know.
        opened.retired = true
      }
    }

    /** Shows it the nodes that others gave, so that it knows what comes next. */
    async function catchUp(opened: Opened, signal: AbortSignal | undefined): Promise<void> {
      const path = nodes.path()
      const from = path.findIndex(({ key }, at) => opened.path[at]?.key !== key)
      if (from >= 0) {
        opened.path = path
        opened.ready = opened.ready.then(() => show(opened, path.slice(from)))
        // Who waits for it hears of a failure.
        opened.ready.catch(() => undefined)
      }
      await untilAborted(opened.ready, signal)
    }

    /** It answered. What it lied about stays. */
    function forgive(source: ContentSource): void {
      if (isRetryable(dropped.get(source))) dropped.delete(source)
    }

    async function getFrom(source: ContentSource, cid: CID, given: AbortOptions): Promise<Uint8Array> {
      const assertWanted = wantedBy(given)
      assertWanted()
      let opened: Opened | undefined
      try {
        opened = sessionOf(source)
        opened.users += 1
        await catchUp(opened, given.signal)
        assertWanted()
        const bytes = await opened.session.get(cid, given)
        forgive(source)
        current = source
        if (cid.code === DAG_PB && nodes.keep(cid, bytes)) opened.path = nodes.path()
        return bytes
      } catch (error) {
        assertWanted()
        const code = codeOf(error)
        if (code === 'NOT_FOUND') forgive(source)
        if (code === 'BACKEND' || code === 'INTEGRITY' || code === 'GATED') {
          dropped.set(source, error)
          // What it asked for ahead may have failed too, and would be its answer if it is asked again.
          if (opened) opened.retired = true
        }
        throw error
      } finally {
        if (opened) opened.users -= 1
        if (opened?.retired && opened.users === 0) end(opened)
      }
    }

    const wantedBy =
      ({ signal }: AbortOptions) =>
      (): void => {
        signal?.throwIfAborted()
        options.signal?.throwIfAborted()
        assertOpen()
      }

    function ruledOut(source: ContentSource): unknown {
      const error = dropped.get(source)
      return isRetryable(error) ? undefined : error
    }

    const get: GetBlock = async (cid, given) => {
      const assertWanted = wantedBy(given)
      assertWanted()
      const left = startingWith(current, sources).filter((source) => !dropped.has(source))
      const order = [...left, ...sources.filter((source) => dropped.has(source))]
      const ask = (source: ContentSource, stop: AbortSignal | undefined): Promise<Uint8Array> =>
        getFrom(source, cid, { ...given, signal: eitherOf(given.signal, stop) })
      return firstOf(cid, order, ask, { assertWanted, ruledOut })
    }

    return {
      get,
      async close() {
        isClosed = true
        for (const opened of open) end(opened)
        await closeAll([...closings])
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

function eitherOf(one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined {
  return one && other ? AbortSignal.any([one, other]) : (one ?? other)
}

function startingWith<T>(first: T | undefined, items: readonly T[]): readonly T[] {
  return first === undefined ? items : [first, ...items.filter((item) => item !== first)]
}

/** Waits for all of them, then rejects as the first that failed. */
async function closeAll(closings: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(closings)) if (result.status === 'rejected') throw result.reason
}
