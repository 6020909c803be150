import type { CID } from '@x/cid'

import { backoffMs } from '../backoff.ts'
import { blockKey } from '../block-key.ts'
import type { AbortOptions } from '../blockstore.ts'
import type { ContentStore } from '../content-store.ts'
import { codeOf } from '../error-code.ts'
import { BackendError } from '../errors.ts'
import { linkedController } from '../linked-controller.ts'
import { oneLine } from '../public-message.ts'
import type { Outbox, OutboxEntry, Settlement, Wish } from './outbox.ts'
import type { ReplicaTarget } from './replica-target.ts'
import { verifyReplica, type VerifyReplicaOptions } from './verify-replica.ts'

export type ReplicatorEvent =
  /** A target says that it has it. */
  | { type: 'copy-made'; cid: CID; target: string; sentBytes: number }
  /** It was read back. */
  | { type: 'copy-verified'; cid: CID; target: string; leaves: number | 'all' }
  /** It cannot be read back there, so nothing proves what the target says. */
  | { type: 'copy-unproved'; cid: CID; target: string }
  | { type: 'copy-removed'; cid: CID; target: string }
  /** The target is at it, and is asked again. */
  | { type: 'copy-pending'; cid: CID; target: string; reason: string | undefined }
  | { type: 'try-failed'; entry: OutboxEntry; error: unknown; retryAt: string }
  /** It is not tried any more until somebody says so. */
  | { type: 'given-up'; entry: OutboxEntry; error: unknown }

export interface ReplicatorOptions {
  /** Where the originals are. */
  local: ContentStore
  targets: readonly ReplicaTarget[]
  outbox: Outbox
  /** Copies under way at one target. Default 2. */
  atOnce?: number | undefined
  /** Tries before it is given up. Default: as long as the failure is one that may pass. */
  mostFailures?: number | undefined
  /** Before the second try, and about twice as long before each further one. Milliseconds; default 1000. */
  retryMs?: number | undefined
  /** The longest. Milliseconds; default 3_600_000. */
  mostRetryMs?: number | undefined
  /** How often a target that is at it is asked. Milliseconds; default 2000. */
  pendingMs?: number | undefined
  /** How much of a copy is read back before it counts. Default 16 leaves. */
  leaves?: VerifyReplicaOptions['leaves']
  /** Another process takes over what this one was at when it has not been heard of for so long. Milliseconds; default 30_000. */
  leaseMs?: number | undefined
  onEvent?: ((event: ReplicatorEvent) => void) | undefined
  /** Hears of a failure of the outbox itself, after which it goes on when something is wished. */
  onError?: ((error: unknown) => void) | undefined
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: (() => number) | undefined
}

/** Brings to the targets what is owed to them. */
export interface Replicator {
  readonly targets: readonly ReplicaTarget[]
  /**
   * Durable when it resolves; then it begins.
   *
   * @param options.now - Also what failed a moment ago and would wait. Default false.
   */
  wish(wishes: readonly Wish[], options?: { now?: boolean | undefined }): Promise<void>
  /**
   * What comes of the next try of an entry that is wished at the same time; `undefined`: it was done. To be called before
   * `wish`. A target that is at it still says so by an error, and so does the replicator when it is closed.
   */
  nextTry(cid: CID, target: string): Promise<Error | undefined>
  /** Looks what is due: for who changed the outbox by other ways. */
  wake(): void
  /**
   * Until nothing is owed to these targets that is tried without being told to.
   *
   * @throws {BackendError} The outbox fails.
   */
  drained(options?: AbortOptions): Promise<void>
  /** Stops what is under way; it is owed still. Leaves the targets and the outbox open. */
  close(): Promise<void>
}

/**
 * Begins at once, with what an earlier process left. Each entry is tried until it is done: a failure that may pass is tried
 * again after a while, another one is given up. A copy counts once it was read back.
 */
export function createReplicator(options: ReplicatorOptions): Replicator {
  const { local, targets, outbox, atOnce = 2, mostFailures = Infinity, onEvent, onError } = options
  const { retryMs = 1000, mostRetryMs = 3_600_000, pendingMs = 2000, leaseMs = 30_000, leaves = 16 } = options
  const now = options.now ?? (() => Date.now())
  const owner = crypto.randomUUID()
  const over = new AbortController()
  const names = targets.map(({ name }) => name)
  const underWay = new Set<Promise<void>>()
  const running = new Map<string, number>(names.map((name) => [name, 0]))
  /** Who waits until nothing is owed. */
  const waiting = new Set<{ resolve: () => void; reject: (error: unknown) => void }>()
  /** Who waits for the next try, by root and target. */
  const watchers = new Map<string, ((error: Error | undefined) => void)[]>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let looking: Promise<void> | undefined
  let isStale = false

  function tell({ cid, target }: Pick<Wish, 'cid' | 'target'>, error: Error | undefined): void {
    const key = `${blockKey(cid)} ${target}`
    for (const watch of watchers.get(key) ?? []) watch(error)
    watchers.delete(key)
  }

  function fail(error: unknown): void {
    for (const one of waiting) one.reject(error)
    waiting.clear()
    if (!over.signal.aborted) onError?.(error)
  }

  /** One look at a time; what changes meanwhile is looked at after it. */
  function wake(): void {
    if (over.signal.aborted) return
    if (looking) {
      isStale = true
      return
    }
    isStale = false
    clearTimeout(timer)
    looking = look()
      .catch(fail)
      .finally(() => {
        looking = undefined
        if (isStale) wake()
      })
  }

  async function look(): Promise<void> {
    for (const target of targets) {
      const room = atOnce - (running.get(target.name) ?? 0)
      if (room <= 0) continue
      const claimed = await outbox.claim(target.name, { owner, most: room, now: now(), leaseMs })
      for (const entry of claimed) start(target, entry)
    }
    // One that has its hands full is looked at when it has not.
    const next = await outbox.nextDue(names.filter((name) => (running.get(name) ?? 0) < atOnce))
    if (next === undefined) {
      if (underWay.size > 0) return
      for (const one of waiting) one.resolve()
      waiting.clear()
      return
    }
    const inMs = Math.min(Math.max(SHORTEST_MS, next - now()), leaseMs)
    timer = setTimeout(wake, inMs)
    // Who waits for what another process is at has nothing else to live for.
    if (waiting.size === 0) unref(timer)
  }

  function start(target: ReplicaTarget, entry: OutboxEntry): void {
    running.set(target.name, (running.get(target.name) ?? 0) + 1)
    const work = settleOne(target, entry)
      .catch(fail)
      .finally(() => {
        running.set(target.name, (running.get(target.name) ?? 1) - 1)
        underWay.delete(work)
        wake()
      })
    underWay.add(work)
  }

  async function settleOne(target: ReplicaTarget, entry: OutboxEntry): Promise<void> {
    const renewing = setInterval(() => {
      outbox.renew(owner, { now: now(), leaseMs }).catch(fail)
    }, leaseMs / 3)
    unref(renewing)
    try {
      const { settlement, error } = await tryOnce(target, entry)
      await outbox.settle(entry, owner, settlement)
      tell(entry, error)
    } finally {
      clearInterval(renewing)
    }
  }

  async function tryOnce(
    target: ReplicaTarget,
    entry: OutboxEntry,
  ): Promise<{ settlement: Settlement; error: Error | undefined }> {
    try {
      const settlement = entry.operation === 'put' ? await put(target, entry) : await remove(target, entry)
      const isDone = settlement.outcome === 'done'
      return { settlement, error: isDone ? undefined : stillAtIt(target, entry) }
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      // Owed as before: whoever is next begins at once.
      if (over.signal.aborted) return { settlement: { outcome: 'later', dueAt: now() }, error }
      return { settlement: failed(entry, error), error }
    }
  }

  function failed(entry: OutboxEntry, error: unknown): Settlement {
    const failures = entry.failures + 1
    const message = oneLine(messageOf(error))
    if (!mayPass(error) || failures >= mostFailures) {
      onEvent?.({ type: 'given-up', entry, error })
      return { outcome: 'given-up', error: message }
    }
    const dueAt = now() + backoffMs(failures, { baseMs: retryMs, mostMs: mostRetryMs })
    onEvent?.({ type: 'try-failed', entry, error, retryAt: new Date(dueAt).toISOString() })
    return { outcome: 'later', dueAt, error: message }
  }

  async function put(target: ReplicaTarget, { cid, name }: OutboxEntry): Promise<Settlement> {
    const { signal } = over
    let sentBytes = 0
    const onProgress = (sent: number): void => void (sentBytes = sent)
    const { state, reason } = await target.put(cid, local, { name, signal, onProgress })
    if (state === 'pending') {
      onEvent?.({ type: 'copy-pending', cid, target: target.name, reason })
      return { outcome: 'later', dueAt: now() + pendingMs }
    }
    if (state !== 'held') {
      const why = reason === undefined ? '' : `: ${reason}`
      throw new BackendError(`${target.name} does not keep ${cid}: ${state}${why}`, { retryable: true })
    }
    onEvent?.({ type: 'copy-made', cid, target: target.name, sentBytes })
    const seenAt = new Date(now()).toISOString()
    if (target.source) {
      const read = await verifyReplica(target.source, local, cid, { leaves, signal }).catch((cause: unknown) => {
        if (codeOf(cause) !== 'NOT_FOUND') throw cause
        // Some say so before it can be read.
        const message = `${target.name} says that it has ${cid}, and does not give it: ${messageOf(cause)}`
        throw new BackendError(message, { cause, retryable: true })
      })
      await outbox.note(cid, target.name, { state: 'verified', seenAt })
      onEvent?.({ type: 'copy-verified', cid, target: target.name, leaves: read.leaves })
    } else {
      await outbox.note(cid, target.name, { state: 'claimed', seenAt })
      onEvent?.({ type: 'copy-unproved', cid, target: target.name })
    }
    return { outcome: 'done' }
  }

  async function remove(target: ReplicaTarget, { cid }: OutboxEntry): Promise<Settlement> {
    await target.remove(cid, { signal: over.signal })
    await outbox.note(cid, target.name, undefined)
    onEvent?.({ type: 'copy-removed', cid, target: target.name })
    return { outcome: 'done' }
  }

  wake()
  return {
    targets,
    async wish(wishes, { now: isUrgent = false } = {}) {
      over.signal.throwIfAborted()
      await outbox.wish(wishes)
      if (isUrgent) for (const { cid, target } of wishes) await outbox.retry({ cid, target }, now())
      wake()
    },
    nextTry: (cid, target) =>
      new Promise((resolve) => {
        const key = `${blockKey(cid)} ${target}`
        watchers.set(key, [...(watchers.get(key) ?? []), resolve])
      }),
    wake,
    async drained({ signal } = {}) {
      const { controller, release } = linkedController(signal)
      const done = Promise.withResolvers<void>()
      const one = { resolve: () => done.resolve(), reject: done.reject }
      const stop = (): void => done.reject(controller.signal.reason)
      controller.signal.addEventListener('abort', stop)
      if (controller.signal.aborted) stop()
      waiting.add(one)
      wake()
      try {
        await done.promise
      } finally {
        waiting.delete(one)
        release()
      }
    },
    async close() {
      const reason = new BackendError('the replicator was closed', { retryable: true })
      over.abort(reason)
      clearTimeout(timer)
      for (const one of waiting) one.reject(reason)
      waiting.clear()
      for (const watching of watchers.values()) for (const watch of watching) watch(reason)
      watchers.clear()
      await looking
      await Promise.all(underWay)
    },
  }
}

const stillAtIt = (target: ReplicaTarget, { cid }: OutboxEntry): BackendError =>
  new BackendError(`${target.name} is at ${cid} still`, { retryable: true })

/** So that what comes to be due while it is looked at is not looked for without a pause. Milliseconds. */
const SHORTEST_MS = 20

/** Whether the same may work later. That the target is full, or that the original is damaged or gone, somebody has to mend. */
const mayPass = (error: unknown): boolean =>
  codeOf(error) === 'BACKEND'
    ? error instanceof Error && Reflect.get(error, 'retryable') === true
    : codeOf(error) === 'IN_USE'

/** A timer alone is no reason to live. */
function unref(timer: unknown): void {
  if (typeof timer === 'object' && timer !== null && 'unref' in timer && typeof timer.unref === 'function')
    timer.unref()
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
