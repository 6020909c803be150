import type { CID } from '@x/cid'

import type { BlockSource } from '../block-source.ts'
import type { AbortOptions } from '../blockstore.ts'
import { promiseAs } from '../checked-blocks.ts'
import type { ContentSource, ContentStore } from '../content-store.ts'
import { codeOf } from '../error-code.ts'
import { GatedError, NotFoundError } from '../errors.ts'
import { createFailoverSource, type FailoverOptions } from '../failover-source.ts'
import { openSession } from '../planned-session.ts'
import type { Receipt } from '../receipt.ts'
import { createCircuitBreaker, type CircuitBreakerOptions } from './circuit-breaker.ts'
import { guardBlocks } from './guarded-blocks.ts'
import { createLatency, type LatencyOptions } from './latency.ts'
import { populate } from './populate.ts'
import type { ReadTracker } from './read-tracker.ts'
import type { Tier, TierEvent, TierStatus } from './tier.ts'

export interface BeyondOptions {
  /** In the order in which they are asked. */
  tiers: readonly Tier[]
  /** Default: the local store's. */
  name?: string | undefined
  /**
   * `in-order` asks the next backend once one has failed; `hedged` also once it takes longer than it usually does.
   * Default `in-order`.
   */
  read?: 'in-order' | 'hedged' | undefined
  /** For `hedged`. */
  latency?: LatencyOptions | undefined
  /** Whether blocks that come from a tier are put into the local store, where `gc` may take them. Default `keep`. */
  populate?: 'keep' | 'leave' | undefined
  breaker?: Omit<CircuitBreakerOptions, 'onChange'> | undefined
  onEvent?: ((event: TierEvent) => void) | undefined
}

/** What one operation is, and for whom its failures are noted. */
export interface Following {
  operation: Receipt['operation']
  root: CID
  track: ReadTracker
}

/** What is read for one operation. */
interface OpenBeyond {
  /** What is held here, and of the rest what the tiers give. */
  readonly blocks: BlockSource
  /** Until what is kept of it is there. */
  end(): Promise<void>
}

/** The backends beyond a local store: asked through their circuit breakers, and followed for receipts. */
export interface Beyond {
  /** What the tiers give, and nothing of what is held here. */
  source(following: Following): ContentSource
  open(following: Following): OpenBeyond
  /**
   * Returns where the tiers may have what the local store did not give, and throws the error otherwise.
   */
  assertMayHave(error: unknown, following: Following): void
  /**
   * What to say where the tiers did not give it either: that what is held here is damaged, or cannot be read, is not made
   * good by nobody having it.
   */
  answerOf(local: unknown, others: unknown): unknown
  has(cid: CID, options: AbortOptions): Promise<boolean>
  status(): TierStatus[]
  close(): Promise<void>
}

/** @throws {TypeError} Two backends have the same name. */
export function createBeyond(
  local: ContentStore,
  { name = local.name, read = 'in-order', populate: populating = 'keep', onEvent, ...options }: BeyondOptions,
): Beyond {
  const members = options.tiers.map((tier) => {
    const { source } = tier
    const latency = createLatency(options.latency)
    const breaker = createCircuitBreaker(source.name, {
      ...options.breaker,
      onChange: (circuit) => onEvent?.({ type: 'circuit-changed', backend: source.name, circuit }),
    })
    return { tier, breaker, latency, source: { ...source, blocks: guardBlocks(source.blocks, { breaker, latency }) } }
  })
  const memberOf = new Map(members.map((member) => [member.source.name, member]))
  if (memberOf.size < members.length || memberOf.has(local.name)) {
    const names = [local.name, ...members.map(({ source }) => source.name)].join(', ')
    throw new TypeError(`each backend needs a name of its own: ${names}`)
  }

  function noteFailure({ operation, root, track }: Following) {
    return (backend: string, error: unknown): void => {
      const isNews = track.isFirstFailure(backend)
      track.failed(backend, error)
      const code = codeOf(error)
      const reason = error instanceof Error ? error.message : String(error)
      if (isNews) onEvent?.({ type: 'backend-failed', operation, root, backend, code, reason })
      const tier = memberOf.get(backend)?.tier
      if (code === 'NOT_FOUND' || tier?.isRequired !== true) return
      const { feature = backend } = tier
      throw new GatedError(`${backend} is required, and failed: ${reason}`, { feature, cause: error })
    }
  }

  /** A block that is held but damaged, or that the disk does not give, is as good as absent. */
  async function heldHere(track: ReadTracker, cid: CID, given: AbortOptions): Promise<Uint8Array | undefined> {
    const started = performance.now()
    try {
      const isHeld = await local.blocks.has(cid, given)
      const bytes = isHeld ? await local.blocks.get(cid, given) : await local.salvage?.(cid, given)
      if (!bytes) return undefined
      track.gave(local.name, { blocks: 1, bytes: bytes.length, durationMs: performance.now() - started })
      return bytes
    } catch (error) {
      given.signal?.throwIfAborted()
      if (codeOf(error) === undefined) throw error
      if (codeOf(error) !== 'NOT_FOUND') track.failed(local.name, error, performance.now() - started)
      return undefined
    }
  }

  function sourceOf(following: Following, extra: Pick<FailoverOptions, 'onGiven'> = {}): ContentSource {
    const failed = noteFailure(following)
    return createFailoverSource(
      members.map((member) => member.source),
      {
        name,
        onFailover: (failover) => failed(failover.source, failover.error),
        onGiven(given) {
          const { bytes, durationMs } = given
          following.track.gave(given.source, { blocks: 1, bytes: bytes.length, durationMs })
          extra.onGiven?.(given)
        },
        ...(read === 'hedged' && {
          hedgeAfterMs: (slow) => memberOf.get(slow.name)?.latency.hedgeAfterMs() ?? 0,
          onHedge: (hedge) => onEvent?.({ type: 'backend-slow', cid: hedge.cid, backend: hedge.source }),
        }),
      },
    )
  }

  function open(following: Following): OpenBeyond {
    const { root, track } = following
    const keeping = populating === 'keep' ? populate(local.blocks) : undefined
    let room: Promise<void> | undefined
    const others = sourceOf(following, {
      onGiven({ cid, bytes }) {
        room = keeping?.keep(cid, bytes)
      },
    }).blocks
    const blocks: BlockSource = {
      ...others,
      async get(cid, given = {}) {
        const ours = await heldHere(track, cid, given)
        if (ours) return ours
        const bytes = await others.get(cid, given)
        await room
        return bytes
      },
      openSession(of, given = {}) {
        const held: NonNullable<typeof given.held> = async (cid, asked) =>
          (await given.held?.(cid, asked)) ?? heldHere(track, cid, asked)
        const session = openSession(others, of, { ...given, held })
        return {
          async get(cid, asked) {
            const bytes = await session.get(cid, asked)
            await room
            return bytes
          },
          close: () => session.close(),
        }
      },
    }
    return {
      blocks: promiseAs(blocks, others, local.blocks),
      async end() {
        const kept = await keeping?.end()
        if (!kept) return
        if (kept.blocks > 0) onEvent?.({ type: 'blocks-kept', root, blocks: kept.blocks, bytes: kept.bytes })
        if (kept.error !== undefined) onEvent?.({ type: 'keeping-failed', root, error: kept.error })
      },
    }
  }

  return {
    source: (following) => sourceOf(following),
    open,
    assertMayHave(error, following) {
      const code = codeOf(error)
      const isOthers = code === 'NOT_FOUND' || code === 'INTEGRITY' || code === 'BACKEND'
      if (!isOthers || members.length === 0 || isAbsentPath(error, following.root)) throw error
      noteFailure(following)(local.name, error)
    },
    answerOf: (ours, others) => (codeOf(others) === 'NOT_FOUND' ? ours : others),
    has: async (cid, given) =>
      members.length > 0 && createFailoverSource(members.map((member) => member.source)).blocks.has(cid, given),
    status: () =>
      members.map(({ tier, breaker, source: { name: of } }) => ({
        role: tier.role,
        name: of,
        isRequired: tier.isRequired === true,
        circuit: breaker.status(),
      })),
    async close() {
      const closings = await Promise.allSettled(options.tiers.map((tier) => tier.source.close()))
      for (const closing of closings) if (closing.status === 'rejected') throw closing.reason
    },
  }
}

/** Below a root that is held: then it is known that there is no such path. */
const isAbsentPath = (error: unknown, root: CID): boolean =>
  error instanceof NotFoundError && error.what.startsWith(`${root}/`)
