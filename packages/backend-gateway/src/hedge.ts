import type { CID } from '@x/cid'
import {
  BackendError,
  BlockNotFoundError,
  IntegrityError,
  isStorageError,
  NotFoundError,
  type StorageError,
} from '@x/storage-core'
import { linkedController, sleep, StallError, startStallTimer, untilAborted } from '@x/storage-core/backend'

import type { GatewayEvent } from './events.ts'
import { causeOf, HttpStatusError } from './failure.ts'
import {
  byHealth,
  hedgeAfter,
  isWorthARace,
  noteFailure,
  noteRace,
  noteSuccess,
  type BackoffOptions,
} from './health.ts'
import { createPulse, leastBytes, type Pulse } from './read-body.ts'
import type { Upstream } from './upstream.ts'

interface PoolOptions extends BackoffOptions {
  /** Most times that one upstream is asked for a block. */
  tries: number
  /** Longest wait without progress. Milliseconds. */
  stallTimeoutMs: number
  /** Default: what is learnt of each. */
  hedgeAfterMs: number | undefined
  onEvent: (event: GatewayEvent) => void
}

export interface Pool extends PoolOptions {
  upstreams: readonly Upstream[]
}

/** Upstreams that gave wrong bytes, and are not asked any more. */
export type Liars = Map<Upstream, IntegrityError>

export interface Answer<T> {
  upstream: Upstream
  value: T
}

/** One upstream that is being asked. */
interface Asked<T> {
  upstream: Upstream
  pulse: Pulse
  answer: Promise<T>
  stop(): void
}

export interface HedgedOptions<T> {
  cid: CID
  signal: AbortSignal | undefined
  liars: Liars
  /** Is asked already. */
  first?: Asked<T> | undefined
  ask: (upstream: Upstream, options: { signal: AbortSignal; pulse: Pulse }) => Promise<T>
  /** For an answer that came too late. */
  discard?: ((value: T) => void) | undefined
}

interface Failure {
  error: StorageError
  tries: number
  silentMs: number
  isFinal: boolean
}

/** `silentMs`: time in which it gave nothing. */
type Settled<T> = { upstream: Upstream } & ({ ok: true; value: T } | { ok: false; error: unknown; silentMs: number })

const MOST_AT_ONCE = 2
// Of the stall time. One that was silent for so long may have lost a connection, or look for the block elsewhere. It is
// asked once more, which tells the one from the other, and its answer is not waited for as long as the first time.
const SILENT_LONG = 1 / 2
const LAST_PATIENCE = 1 / 4
const LEAST_PATIENCE_MS = 500

/**
 * Asks the best upstream; a second one as soon as the first is silent, or slower than that one may be; the next one when one
 * fails; and, when all have failed, those again of which more can be hoped: after a stall, once. The first answer counts, and
 * the others are stopped.
 *
 * @throws {BlockNotFoundError} All of them say that they do not have it.
 * @throws {IntegrityError} Those that have it give other bytes.
 * @throws {BackendError} It cannot be told.
 */
export async function hedged<T>(pool: Pool, options: HedgedOptions<T>): Promise<Answer<T>> {
  const { cid, signal, liars, first, ask, discard } = options
  const failures = new Map<Upstream, Failure>()
  const running = new Map<Upstream, { settled: Promise<Settled<T>>; asked: Asked<T> }>()
  const done = new AbortController()

  function run(asked: Asked<T>): void {
    const { upstream, answer, pulse } = asked
    const since = performance.now()
    const bytesBefore = pulse.bytes
    const silence = (error: unknown): number =>
      causeOf(error) instanceof StallError || pulse.bytes === bytesBefore ? performance.now() - since : 0
    const settled = answer.then(
      (value): Settled<T> => ({ upstream, ok: true, value }),
      (error: unknown): Settled<T> => ({ upstream, ok: false, error, silentMs: silence(error) }),
    )
    running.set(upstream, { settled, asked })
  }

  function begin(upstream: Upstream): void {
    const { controller, release } = linkedController(signal)
    const pulse = createPulse()
    const before = failures.get(upstream)
    const patienceMs = Math.max(LEAST_PATIENCE_MS, pool.stallTimeoutMs * LAST_PATIENCE)
    const giveUpOn = (error: StorageError): void => {
      if (pulse.bytes > 0) return
      const message = `${error.message}; asked again, no answer for ${Math.round(patienceMs)} ms`
      controller.abort(new BackendError(message, { cause: error, retryable: true }))
    }
    const stopTimer = wasSilentLong(before) ? startStallTimer(patienceMs, () => giveUpOn(before.error)) : undefined
    const answer = ask(upstream, { signal: controller.signal, pulse }).finally(() => {
      stopTimer?.()
      release()
    })
    run({ upstream, pulse, answer, stop: () => controller.abort(new Error('another gateway was faster')) })
  }

  const wasSilentLong = (failure: Failure | undefined): failure is Failure =>
    failure !== undefined && failure.silentMs >= pool.stallTimeoutMs * SILENT_LONG

  /** The best one that may be asked, and in how long. */
  function next(): { upstream: Upstream; waitMs: number } | undefined {
    const left = pool.upstreams.filter(
      (upstream) => !running.has(upstream) && !liars.has(upstream) && failures.get(upstream)?.isFinal !== true,
    )
    const compare = byHealth(left.map(({ health }) => health))
    const now = performance.now()
    const ranked = left
      .toSorted((a, b) => compare(a.health, b.health))
      .map((upstream) => ({ upstream, waitMs: Math.max(0, upstream.health.notBefore - now) }))
    return ranked.find(({ waitMs }) => waitMs === 0) ?? ranked.toSorted((a, b) => a.waitMs - b.waitMs)[0]
  }

  /** Or why to look again: the one that is asked says nothing, or is slow, or another one may be asked again now. */
  async function untilNext(
    candidate: { upstream: Upstream; waitMs: number } | undefined,
  ): Promise<Settled<T> | 'silent' | 'slow' | 'rested'> {
    const settled = [...running.values()].map((each) => each.settled)
    const [only] = running.values()
    if (!candidate || !only || running.size >= MOST_AT_ONCE) return untilAborted(Promise.race(settled), signal)
    const { controller, release } = linkedController(done.signal)
    const { upstream: another, waitMs } = candidate
    const { signal: given } = controller
    const reason =
      waitMs > 0
        ? sleep(waitMs, given).then(() => 'rested' as const)
        : untilWorthAsking(only.asked, another, pool.hedgeAfterMs, { signal: given })
    // It fails by the abort below alone, when an answer came before; then nobody waits for it.
    reason.catch(() => undefined)
    try {
      return await untilAborted(Promise.race([...settled, reason]), signal)
    } finally {
      controller.abort()
      release()
    }
  }

  function beginAnother(upstream: Upstream, why: 'silent' | 'slow'): void {
    const [only] = running.keys()
    const [gateway, asked] = [upstream.label, only?.label ?? '']
    if (why === 'slow') {
      noteRace(upstream.health)
      pool.onEvent({ type: 'race-started', gateway, cid, slow: asked })
    } else pool.onEvent({ type: 'hedge-started', gateway, cid, silent: asked })
    begin(upstream)
  }

  function note({ upstream, error, silentMs }: Settled<T> & { ok: false }): void {
    signal?.throwIfAborted()
    if (!isStorageError(error)) throw error
    const before = failures.get(upstream)
    const tries = (before?.tries ?? 0) + 1
    const fail = (final: StorageError, isFinal: boolean): { gateway: string; cid: CID; isLast: boolean } => {
      failures.set(upstream, { error: final, tries, silentMs: (before?.silentMs ?? 0) + silentMs, isFinal })
      return {
        gateway: upstream.label,
        cid,
        isLast: running.size === 0 && (next()?.waitMs ?? Infinity) > pool.maxWaitMs,
      }
    }
    if (error instanceof IntegrityError) {
      const lie = namedLie(upstream, error)
      liars.set(upstream, lie)
      upstream.health.lies += 1
      pool.onEvent({ type: 'gateway-lied', ...fail(lie, true), error: lie })
      return
    }
    if (error instanceof BlockNotFoundError) {
      pool.onEvent({ type: 'gateway-failed', ...fail(error, true), error: namedAbsence(upstream, error) })
      return
    }
    if (!(error instanceof BackendError)) throw error
    noteFailure(upstream.health, retryAfterOf(error), pool)
    const isFinal = !error.retryable || tries >= pool.tries || wasSilentLong(before)
    pool.onEvent({ type: 'gateway-failed', ...fail(error, isFinal), error })
  }

  /** It asks to be left alone for longer than anybody waits. */
  function giveUp(upstream: Upstream, waitMs: number): void {
    const before = failures.get(upstream)
    const why = `${upstream.label} asks to be left alone for ${Math.ceil(waitMs / 1000)} s`
    const message = before ? `${before.error.message}; ${why}` : why
    const error = new BackendError(message, { cause: before?.error, retryable: true })
    failures.set(upstream, { tries: 0, silentMs: 0, ...before, error, isFinal: true })
  }

  try {
    if (first) run(first)
    for (;;) {
      signal?.throwIfAborted()
      const candidate = next()
      if (running.size === 0) {
        if (!candidate) throw combine(cid, pool.upstreams, failures, liars)
        const { upstream, waitMs } = candidate
        if (waitMs > pool.maxWaitMs) {
          giveUp(upstream, waitMs)
          continue
        }
        if (waitMs > 0) {
          pool.onEvent({ type: 'retry-waited', gateway: upstream.label, cid, waitMs })
          await sleep(waitMs, signal)
        }
        begin(upstream)
        continue
      }
      const settled = await untilNext(candidate)
      // The other one may be asked now.
      if (settled === 'rested') continue
      if (typeof settled === 'string') {
        if (candidate) beginAnother(candidate.upstream, settled)
        continue
      }
      running.delete(settled.upstream)
      if (settled.ok) {
        noteSuccess(settled.upstream.health)
        return { upstream: settled.upstream, value: settled.value }
      }
      note(settled)
    }
  } finally {
    done.abort()
    for (const { asked, settled } of running.values()) {
      asked.stop()
      void settled.then((late) => late.ok && discard?.(late.value))
    }
  }
}

async function untilWorthAsking(
  { upstream: { health }, pulse }: Pick<Asked<unknown>, 'upstream' | 'pulse'>,
  another: Upstream,
  hedgeAfterMs: number | undefined,
  { signal }: { signal: AbortSignal },
): Promise<'silent' | 'slow'> {
  const periodMs = hedgeAfterMs ?? hedgeAfter(health)
  for (;;) {
    if (isWorthARace(health, another.health)) return 'slow'
    const before = pulse.bytes - pulse.unwantedBytes
    await sleep(periodMs, signal)
    if (pulse.bytes - pulse.unwantedBytes - before < leastBytes(periodMs)) return 'silent'
  }
}

function namedLie({ label }: Upstream, error: IntegrityError): IntegrityError {
  const { cid, actual, file, offset } = error
  return new IntegrityError(`${label}: ${error.message}`, { cid, actual, file, offset, cause: error })
}

function namedAbsence({ label }: Upstream, error: NotFoundError): NotFoundError {
  const { what, cid } = error
  return new NotFoundError(what, { ...(cid && { cid }), message: `${label}: ${error.message}`, cause: error })
}

function retryAfterOf(error: BackendError): number | undefined {
  const cause = causeOf(error)
  return cause instanceof HttpStatusError ? cause.retryAfterMs : undefined
}

/** One answer from many. */
function combine(
  cid: CID,
  upstreams: readonly Upstream[],
  failures: ReadonlyMap<Upstream, Failure>,
  liars: Liars,
): StorageError {
  const errors = upstreams.flatMap((upstream) => failures.get(upstream)?.error ?? liars.get(upstream) ?? [])
  const [only] = errors
  if (only && errors.every((error) => error instanceof BlockNotFoundError))
    return new BlockNotFoundError(cid, { cause: only })
  const lie = errors.find((error) => error instanceof IntegrityError)
  if (lie && errors.every((error) => error instanceof IntegrityError || error instanceof BlockNotFoundError)) return lie
  if (only && errors.length === 1) return only
  const retryable = errors.some((error) => error instanceof BackendError && error.retryable)
  const cause = new AggregateError(errors, 'each gateway for its own reason')
  return new BackendError(`no gateway gives ${cid}: ${errors.map((error) => error.message).join('; ')}`, {
    cause,
    retryable,
  })
}
