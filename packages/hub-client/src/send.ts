import { BackendError, GatedError } from '@x/storage-core'
import { discard, fetchHead } from '@x/storage-core/backend'

import type { Endpoint } from './endpoint.ts'

export interface SendOptions {
  endpoint: Endpoint
  token: string | undefined
  userAgent: string | undefined
  offline: boolean
  fetch: typeof globalThis.fetch
  /** Whether an address that the hub names may be asked. */
  allow: (url: URL) => boolean
}

interface RequestOptions {
  /** For a request to this origin, which redirects may lead away from. */
  headersFor: (origin: string) => Record<string, string>
  /** Longest wait for the head of each answer. Milliseconds. */
  stallTimeoutMs: number
  signal: AbortSignal | undefined
  /** Sees each redirect before it is followed; may throw to end it. */
  onRedirect?: ((response: Response) => void) | undefined
}

export interface Answer {
  response: Response
  /** Who gave it, after redirects. */
  origin: string
}

/** The answer to one request, whatever its status but for redirects. Its body is still to be read, or discarded. */
export type Send = (url: URL, options: RequestOptions) => Promise<Answer>

const MAX_REDIRECTS = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/**
 * Redirects are followed here, so that each can be looked at: the token goes to the endpoint's own origin and nowhere
 * else, and nothing leads to another scheme.
 */
export function createSend({ endpoint, token, userAgent, offline, fetch, allow }: SendOptions): Send {
  const { label, base } = endpoint
  const refuse = (why: string): never => {
    throw new BackendError(`${label}: ${why}`, { retryable: false })
  }

  async function ask(url: URL, options: RequestOptions, redirect: 'manual' | 'follow'): Promise<Response> {
    const { stallTimeoutMs, signal } = options
    const headers = new Headers(options.headersFor(url.origin))
    if (userAgent !== undefined) headers.set('user-agent', userAgent)
    if (token !== undefined && url.origin === base.origin) headers.set('authorization', `Bearer ${token}`)
    return fetchHead(url, { fetch, label, headers, redirect, stallTimeoutMs, signal })
  }

  /** A page is not told where a redirect leads. Without a token there is nothing that could be carried there. */
  async function askBlindly(url: URL, options: RequestOptions): Promise<Answer> {
    if (token !== undefined) refuse('it redirects, and a page cannot see where to; with a token that is not followed')
    const response = await ask(url, options, 'follow')
    const end = new URL(response.url)
    if (end.protocol !== url.protocol || !allow(end)) {
      discard(response)
      refuse(`it redirects to ${end.origin}`)
    }
    return { response, origin: end.origin }
  }

  return async (first, options) => {
    options.signal?.throwIfAborted()
    if (offline) {
      throw new GatedError(`offline, so nobody was asked for ${first.href}`, { feature: 'hub' })
    }
    let url = first
    for (let redirects = 0; ; redirects++) {
      const response = await ask(url, options, 'manual')
      if (response.type === 'opaqueredirect') return askBlindly(url, options)
      if (!REDIRECTS.has(response.status)) return { response, origin: url.origin }
      discard(response)
      options.onRedirect?.(response)
      const next = URL.parse(response.headers.get('location') ?? '', url.href)
      if (next === null) return refuse('it redirects to nowhere')
      if (next.protocol !== url.protocol) refuse(`it redirects from ${url.protocol} to ${next.protocol}`)
      if (next.username !== '' || next.password !== '') refuse('it redirects to an address with a password')
      if (!allow(next)) refuse(`it redirects to ${next.origin}, which is not allowed`)
      if (redirects === MAX_REDIRECTS) refuse(`it redirects more than ${MAX_REDIRECTS} times`)
      url = next
    }
  }
}
