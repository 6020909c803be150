import { decideGates, mayReach, type Environment, type GateSettings } from '@x/gating'
import { BackendError, GatedError, isStorageError, NotFoundError } from '@x/storage-core'
import { readWholeBody, reasonOf, startStallTimer, untilAborted } from '@x/storage-core/backend'

import { webUrl } from '../backends/plain-url.ts'

export interface ReadUrlOptions {
  /** A longer answer is refused, and its rest not read. Bytes. */
  maxBytes: number
  /** Longest time without progress. Milliseconds; default 30_000. */
  stallTimeoutMs?: number | undefined
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Positions of gates; they win over the environment. */
  gates?: GateSettings | undefined
  signal?: AbortSignal | undefined
}

const MAX_REDIRECTS = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])
const DEFAULT_STALL_TIMEOUT_MS = 30_000

/**
 * What a plain web server has at a URL. Redirects are followed within the scheme, as far as the network's switch allows.
 *
 * @throws {InvalidInputError} No URL of http(s), or one with a user or password.
 * @throws {GatedError} The switch does not let it connect there.
 * @throws {NotFoundError} The server says that there is nothing.
 * @throws {BackendError} It is not there, stalls, answers with something else, or with more than `maxBytes`.
 */
export async function readUrl(text: string, options: ReadUrlOptions): Promise<Uint8Array> {
  const { maxBytes, stallTimeoutMs = DEFAULT_STALL_TIMEOUT_MS, signal, environment = process.env, gates } = options
  const decided = decideGates({ environment, options: gates })
  let url = webUrl(text, 'registry')
  const label = url.host
  const refuse = (why: string): BackendError => new BackendError(`${label}: ${why}`, { retryable: false })
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    if (!mayReach(decided, 'network', url.hostname)) {
      const { reason } = decided.features.network
      throw new GatedError(`no connection to ${url.hostname}. ${reason}`, { feature: 'network' })
    }
    const stall = createStall(label, stallTimeoutMs, signal)
    try {
      const response = await stall.within((given) =>
        fetch(url, { redirect: 'manual', credentials: 'omit', headers: { accept: 'application/json' }, signal: given }),
      )
      if (!REDIRECTS.has(response.status)) {
        if (response.ok) return await readWholeBody(response, maxBytes, { label, stallTimeoutMs, signal })
        stall.stop()
        throw failureOf(text, label, response.status)
      }
      stall.stop()
      const next = URL.parse(response.headers.get('location') ?? '', url.href)
      if (next === null) throw refuse('it redirects to nowhere')
      if (next.protocol !== url.protocol) throw refuse(`it redirects from ${url.protocol} to ${next.protocol}`)
      if (next.username !== '' || next.password !== '') throw refuse('it redirects to an address with a password')
      url = next
    } finally {
      stall.stop()
    }
  }
  throw refuse(`it redirects more than ${MAX_REDIRECTS} times`)
}

function failureOf(text: string, label: string, status: number): Error {
  if (status === 404 || status === 410) return new NotFoundError(text, { message: `${label}: HTTP ${status}: ${text}` })
  return new BackendError(`${label}: HTTP ${status}`, { retryable: status === 429 || status >= 500 })
}

interface Stall {
  /** @throws {BackendError} The work failed, or made no progress in time. @throws The signal's own reason. */
  within<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** Ends the request. */
  stop(): void
}

function createStall(label: string, stallTimeoutMs: number, signal: AbortSignal | undefined): Stall {
  const controller = new AbortController()
  return {
    async within(work) {
      signal?.throwIfAborted()
      const stopTimer = startStallTimer(stallTimeoutMs, () => {
        controller.abort(new Error(`no progress for ${stallTimeoutMs} ms`))
      })
      try {
        return await untilAborted(untilAborted(work(controller.signal), controller.signal), signal)
      } catch (cause) {
        signal?.throwIfAborted()
        if (isStorageError(cause)) throw cause
        throw new BackendError(`${label}: ${reasonOf(cause)}`, { retryable: true, cause })
      } finally {
        stopTimer()
      }
    },
    stop: () => controller.abort(new Error('not wanted any more')),
  }
}
