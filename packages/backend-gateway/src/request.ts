import { BackendError } from '@x/storage-core'
import { discard, fetchHead, StallError } from '@x/storage-core/backend'

import type { Endpoint } from './endpoint.ts'
import { causeOf } from './failure.ts'
import { atHost, isLocalhost, leadsBelowLocalhost, LOOPBACK_HOSTS } from './localhost.ts'

export interface RequestOptions {
  method?: 'GET' | 'HEAD' | undefined
  headers?: Readonly<Record<string, string>> | undefined
  signal?: AbortSignal | undefined
  /** Longest wait for the head of the answer. Milliseconds. */
  stallTimeoutMs: number
}

/** The answer to one request, whatever its status but for redirects. Its body is still to be read, or cancelled. */
export type Send = (endpoint: Endpoint, path: string, options: RequestOptions) => Promise<Response>

export interface SendOptions {
  fetch: typeof globalThis.fetch
  /** Whether an address may be asked. */
  allow: (url: URL) => boolean
}

const MAX_REDIRECTS = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** Redirects are followed here, so that each can be refused. */
export function createSend({ fetch, allow }: SendOptions): Send {
  /** Of those that were named `localhost` and are asked by address, the address. */
  const loopbackHosts = new WeakMap<Endpoint, string>()

  async function ask(endpoint: Endpoint, url: URL, options: RequestOptions, host = url.hostname): Promise<Response> {
    const { method, stallTimeoutMs, signal } = options
    const headers = new Headers(url.origin === endpoint.base.origin ? endpoint.headers : undefined)
    for (const [name, value] of Object.entries(options.headers ?? {})) headers.set(name, value)
    const { label } = endpoint
    return fetchHead(atHost(url, host), { fetch, label, method, headers, stallTimeoutMs, signal })
  }

  async function askByAddress(endpoint: Endpoint, url: URL, options: RequestOptions): Promise<Response> {
    const known = loopbackHosts.get(endpoint)
    const failures: unknown[] = []
    for (const host of known === undefined ? LOOPBACK_HOSTS : [known]) {
      try {
        const response = await ask(endpoint, url, options, host)
        loopbackHosts.set(endpoint, host)
        return response
      } catch (error) {
        options.signal?.throwIfAborted()
        loopbackHosts.delete(endpoint)
        failures.push(error)
        // Else it may listen at the other one.
        if (!(error instanceof BackendError) || causeOf(error) instanceof StallError) break
      }
    }
    throw failures[0]
  }

  async function askNamed(endpoint: Endpoint, url: URL, options: RequestOptions): Promise<Response> {
    if (url.origin !== endpoint.base.origin || !isLocalhost(url)) return ask(endpoint, url, options)
    if (!loopbackHosts.has(endpoint)) {
      const response = await ask(endpoint, url, options)
      if (!leadsBelowLocalhost(response, url)) return response
      discard(response)
      // Somebody else may listen there, for whom they are not.
      if (endpoint.headers.keys().next().done !== true) {
        const instead = `name ${LOOPBACK_HOSTS.join(' or ')} instead of localhost`
        refuse(endpoint, `it redirects, and its headers go to no address that was not named; ${instead}`)
      }
    }
    return askByAddress(endpoint, url, options)
  }

  return async (endpoint, path, options) => {
    let url = new URL(path, endpoint.base)
    for (let redirects = 0; ; redirects++) {
      options.signal?.throwIfAborted()
      if (!allow(url)) refuse(endpoint, `${url.origin} is not allowed`)
      const response = await askNamed(endpoint, url, options)
      if (response.type === 'opaqueredirect') {
        return refuse(endpoint, 'it redirects, and a page is not told where to; name the address it leads to instead')
      }
      if (!REDIRECTS.has(response.status)) return response
      discard(response)
      const next = URL.parse(response.headers.get('location') ?? '', url.href)
      if (next === null) return refuse(endpoint, 'it redirects to nowhere')
      if (next.protocol !== url.protocol) refuse(endpoint, `it redirects from ${url.protocol} to ${next.protocol}`)
      if (redirects === MAX_REDIRECTS) refuse(endpoint, `it redirects more than ${MAX_REDIRECTS} times`)
      next.username = ''
      next.password = ''
      url = next
    }
  }
}

function refuse(endpoint: Endpoint, why: string): never {
  throw new BackendError(`${endpoint.label}: ${why}`, { retryable: false })
}

/** The origins themselves, and what lies below their host names: gateways send `/ipfs/<cid>` there. */
export function allowOnly(endpoints: readonly Endpoint[]): (url: URL) => boolean {
  return (url) =>
    endpoints.some(({ base }) => {
      if (url.protocol !== base.protocol || url.port !== base.port) return false
      return url.hostname === base.hostname || url.hostname.endsWith(`.${base.hostname}`)
    })
}
