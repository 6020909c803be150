import { backoffMs } from '../backoff.ts'
import { codeOf } from '../error-code.ts'
import { BackendError } from '../errors.ts'

/** Whether a backend is asked. `open`: not for now. `half-open`: one call may find out whether it works again. */
export type CircuitState = 'closed' | 'open' | 'half-open'

export interface CircuitStatus {
  state: CircuitState
  /** Failures in a row, of those that count. */
  failures: number
  /** What the last of them said. */
  reason?: string | undefined
  /** ISO 8601, UTC: when an open one is tried again. */
  retryAt?: string | undefined
}

export interface CircuitBreakerOptions {
  /** Failures in a row that open it. Default 5. Other bytes than those of the CID open it at once. */
  failures?: number | undefined
  /** How long it stays open the first time; about twice as long after each trial that fails. Milliseconds; default 5000. */
  openMs?: number | undefined
  /** The longest. Milliseconds; default 300_000. */
  mostOpenMs?: number | undefined
  /** Hears of each change. */
  onChange?: ((status: CircuitStatus) => void) | undefined
  /** Milliseconds that only go forwards. Default `performance.now`. */
  now?: (() => number) | undefined
}

/**
 * Keeps calls from a backend that fails, so that nobody waits for it, and lets one through now and then to see.
 *
 * @see Nygard, Release It! (2nd edition, 2018), "Circuit Breaker"
 */
export interface CircuitBreaker {
  /** Why the backend is not asked; `undefined` where it may be. Half open it lets one call through until that has ended. */
  refusal(): BackendError | undefined
  /** A call that was let through has ended well: with an answer, also that something is absent. */
  succeeded(): void
  /** A call has failed. What was stopped, and errors that say nothing of the backend, count as neither. */
  failed(error: unknown): void
  /** A call was stopped before it ended. */
  stopped(): void
  status(): CircuitStatus
}

const refusals = new WeakSet<object>()

/** Whether an error says that the backend was not even asked. */
export const isCircuitRefusal = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && refusals.has(error)

export function createCircuitBreaker(name: string, options: CircuitBreakerOptions = {}): CircuitBreaker {
  const { failures: mostFailures = 5, openMs = 5000, mostOpenMs = 300_000, onChange } = options
  const now = options.now ?? (() => performance.now())
  let failures = 0
  /** How often in a row it was opened. */
  let openings = 0
  let openUntil: number | undefined
  let isTrialUnderWay = false
  let last: unknown

  const stateNow = (): CircuitState => {
    if (openUntil === undefined) return 'closed'
    return now() >= openUntil ? 'half-open' : 'open'
  }

  function status(): CircuitStatus {
    const state = stateNow()
    return {
      state,
      failures,
      ...(failures > 0 && { reason: messageOf(last) }),
      ...(state === 'open' && { retryAt: new Date(Date.now() + ((openUntil ?? 0) - now())).toISOString() }),
    }
  }

  function open(): void {
    openings += 1
    openUntil = now() + backoffMs(openings, { baseMs: openMs, mostMs: mostOpenMs })
    onChange?.(status())
  }

  return {
    refusal() {
      const state = stateNow()
      if (state === 'closed') return undefined
      if (state === 'half-open' && !isTrialUnderWay) {
        isTrialUnderWay = true
        return undefined
      }
      const { retryAt } = status()
      const when = retryAt === undefined ? 'it is being tried again' : `it is tried again at ${retryAt}`
      const refusal = new BackendError(`${name} is not asked, for it failed: ${messageOf(last)}; ${when}`, {
        cause: last,
        retryable: true,
      })
      refusals.add(refusal)
      return refusal
    },
    succeeded() {
      isTrialUnderWay = false
      const wasOpen = openUntil !== undefined
      failures = 0
      openings = 0
      openUntil = undefined
      if (wasOpen) onChange?.(status())
    },
    failed(error) {
      const wasTrial = isTrialUnderWay
      isTrialUnderWay = false
      const code = codeOf(error)
      if (code !== 'BACKEND' && code !== 'INTEGRITY') return
      failures += 1
      last = error
      // Of calls that were under way when it opened, none opens it once more.
      if (openUntil !== undefined && !wasTrial) return
      if (wasTrial || code === 'INTEGRITY' || failures >= mostFailures) open()
    },
    stopped() {
      isTrialUnderWay = false
    },
    status,
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
