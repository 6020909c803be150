import { ClaimOverError, type Claim } from './claim.ts'
import { noSource } from './download-errors.ts'
import type { FileRun } from './file-run.ts'
import type { Judge } from './judge.ts'
import { mayAsk, nextClaim, type SchedulerLimits } from './scheduler.ts'
import { adaptWindow, type SourceState } from './source-state.ts'
import { superviseClaim } from './supervise-claim.ts'
import { createTokenBucket } from './token-bucket.ts'
import type { Traffic } from './traffic.ts'

/** Keeps sources busy with leaves, as long as some are missing. */
export interface LeafPump {
  /**
   * Brings all leaves that are missing; ends early when the only source that may be asked cannot.
   *
   * @throws Nobody is left who could bring them; or the run was stopped, with its reason.
   */
  fetchMissing(file: FileRun): Promise<void>
  /** Asks who may be asked by now. Called now and then. */
  tick(): void
  /** Resolves when no request runs. */
  idle(): Promise<void>
}

export interface LeafPumpOptions {
  states: readonly SourceState[]
  judge: Judge
  traffic: Traffic
  /** Of the run: the pump stops with it, and stops it when something fails that is no source's fault. */
  stopping: AbortController
  requestsPerSource: number
  stallTimeoutMs: number
  maxBytesPerSecond: number | undefined
}

const MIB = 1024 * 1024
const LIMITS: SchedulerLimits = {
  requestMs: 4000,
  firstRequestBytes: 4 * MIB,
  mostRequestBytes: 64 * MIB,
}

export function createLeafPump(options: LeafPumpOptions): LeafPump {
  const { states, judge, traffic, stopping, requestsPerSource, stallTimeoutMs, maxBytesPerSecond } = options
  const { signal } = stopping
  const bucket = createTokenBucket(maxBytesPerSecond)
  /** Those that bytes are asked for, and who waits for them. */
  const waiters = new Map<FileRun, PromiseWithResolvers<void>>()
  const claims = new Set<Claim>()
  const running = new Set<Promise<void>>()

  const start = (claim: Claim): void => {
    claims.add(claim)
    claim.state.active += 1
    const goOn = (): void => {
      settle(claim.file)
      pump()
    }
    const onEnd = (): void => end(claim)
    const run = superviseClaim(claim, { signal, bucket, stallTimeoutMs, traffic, judge, onLeaf: goOn, onEnd })
      .then(goOn)
      .catch((error: unknown) => stopping.abort(error))
    running.add(run)
    void run.finally(() => running.delete(run))
  }

  /** What it has not brought is missing again. */
  const end = (claim: Claim): void => {
    const { state, file, rival } = claim
    claims.delete(claim)
    state.active -= 1
    // Whatever still waits for bytes.
    claim.controller.abort(new ClaimOverError('it is over'))
    if (rival) rival.rival = undefined
    file.release(rival && claims.has(rival) ? claim.leaf + 1 : claim.leaf, claim.end)
  }

  const pump = (): void => {
    if (signal.aborted) return
    const now = performance.now()
    for (const state of states) {
      while (!state.out && now >= state.notBefore && state.active < Math.min(state.window, requestsPerSource)) {
        const isHeldBack = bucket.isHoldingBack()
        const claim = nextClaim(state, { limits: LIMITS, states, files: waiters.keys(), claims, traffic, isHeldBack })
        if (!claim) break
        start(claim)
      }
    }
    for (const [file, waiter] of waiters) assertHope(file, waiter)
  }

  const claimsOf = (file: FileRun): Claim[] => [...claims].filter((claim) => claim.file === file)

  /** Nobody waits where nobody is left who could bring what is missing. */
  const assertHope = (file: FileRun, waiter: PromiseWithResolvers<void>): void => {
    if (file.firstMissing() === undefined) return
    if (claimsOf(file).length > 0) return
    if (states.some((state) => mayAsk(state, file))) return
    if (file.only !== undefined) waiter.resolve()
    else waiter.reject(noSource(file, states))
  }

  /** Whole, and nobody works on it any more. */
  const settle = (file: FileRun): void => {
    if (!file.isWhole()) return
    const late = claimsOf(file)
    for (const claim of late) claim.controller.abort(new ClaimOverError('the file is whole'))
    if (late.length === 0) waiters.get(file)?.resolve()
  }

  return {
    fetchMissing: async (file) => {
      const waiter = Promise.withResolvers<void>()
      const onStop = (): void => waiter.reject(signal.reason)
      signal.addEventListener('abort', onStop, { once: true })
      waiters.set(file, waiter)
      try {
        signal.throwIfAborted()
        settle(file)
        pump()
        await waiter.promise
      } finally {
        signal.removeEventListener('abort', onStop)
        waiters.delete(file)
      }
    },
    tick: () => {
      for (const state of states) adaptWindow(state, requestsPerSource)
      pump()
    },
    idle: async () => {
      await Promise.allSettled(running)
    },
  }
}
