import type { CID } from '@x/cid'
import { BackendError } from '@x/storage-core'

import { request } from './request.ts'

export interface FoundPeer {
  id: string
  /** Multiaddrs, as the router gave them. */
  addresses: string[]
  protocols: string[]
}

export interface DelegatedRouter {
  readonly name: string
  /** Whether it is asked by HTTPS. */
  readonly isSecure: boolean
  /** @throws {BackendError} It does not answer, or not as a router. */
  findProviders(cid: CID, options: { signal: AbortSignal }): Promise<FoundPeer[]>
}

/** More providers of one CID are not read. */
const MAX_PROVIDERS = 32
const MAX_ADDRESSES = 16
const MAX_ANSWER_BYTES = 1024 * 1024

/**
 * Whom a router says to have a CID.
 *
 * @param base - Such as `https://router.example.org`.
 * @see https://specs.ipfs.tech/routing/http-routing-v1/
 */
export function createDelegatedRouter(base: URL, { stallTimeoutMs }: { stallTimeoutMs: number }): DelegatedRouter {
  const name = `router ${base.href.replace(/\/$/, '')}`
  return {
    name,
    isSecure: base.protocol === 'https:',
    async findProviders(cid, { signal }) {
      const url = new URL(`routing/v1/providers/${cid}`, base.href.endsWith('/') ? base : `${base.href}/`)
      const headers = { Accept: 'application/x-ndjson, application/json;q=0.9' }
      const options = { name, headers, signal, stallTimeoutMs, maxBytes: MAX_ANSWER_BYTES }
      const { status, bytes } = await request(url, options)
      // 404: nobody has it.
      if (status === 404) return []
      if (status !== 200) {
        throw new BackendError(`${name}: HTTP status ${status}`, { retryable: status === 429 || status >= 500 })
      }
      const records = recordsOf(new TextDecoder().decode(bytes))
      if (!records) throw new BackendError(`${name}: its answer is no JSON`, { retryable: false })
      return records.flatMap((record) => toPeer(record) ?? []).slice(0, MAX_PROVIDERS)
    },
  }
}

/** Of an answer in one piece, or a line for each. */
function recordsOf(text: string): unknown[] | undefined {
  const trimmed = text.trim()
  if (trimmed === '') return []
  try {
    const whole: unknown = JSON.parse(trimmed)
    if (typeof whole !== 'object' || whole === null || !('Providers' in whole)) return [whole]
    return Array.isArray(whole.Providers) ? whole.Providers : []
  } catch {
    // More than one line.
  }
  try {
    return trimmed.split('\n').map((line): unknown => JSON.parse(line))
  } catch {
    // No JSON in either way, which is what `undefined` says.
    return undefined
  }
}

function toPeer(record: unknown): FoundPeer | undefined {
  if (typeof record !== 'object' || record === null || !('ID' in record) || typeof record.ID !== 'string')
    return undefined
  const addresses = texts('Addrs' in record ? record.Addrs : []).slice(0, MAX_ADDRESSES)
  return { id: record.ID, addresses, protocols: texts('Protocols' in record ? record.Protocols : []) }
}

const texts = (list: unknown): string[] => (Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [])
