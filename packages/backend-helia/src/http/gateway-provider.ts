import { IntegrityError, MAX_BLOCK_BYTES, verify, type CID } from '@x/cid'
import { BackendError } from '@x/storage-core'

import { EMPTY_BLOCK } from '../empty-block.ts'
import type { AskOptions, Provider } from '../provider.ts'
import { AskLaterError } from './ask-later-error.ts'
import { request, type Answer } from './request.ts'

/**
 * A trustless gateway, asked for single blocks. That it has one, or not, is believed of what has shown that it is a
 * gateway: most web servers answer every path with 404, or with a page.
 *
 * @param base - Such as `https://gateway.example.org`.
 * @see https://specs.ipfs.tech/http-gateways/trustless-gateway/
 */
export function createGatewayProvider(base: URL, { stallTimeoutMs }: { stallTimeoutMs: number }): Provider {
  const name = `gateway ${base.href.replace(/\/$/, '')}`
  let isGateway = false

  const ask = (cid: CID, method: 'GET' | 'HEAD', { signal }: AskOptions): Promise<Answer> => {
    const url = new URL(`ipfs/${cid}`, base.href.endsWith('/') ? base : `${base.href}/`)
    url.searchParams.set('format', 'raw')
    const headers = { Accept: 'application/vnd.ipld.raw' }
    return request(url, { name, method, headers, signal, stallTimeoutMs, maxBytes: MAX_BLOCK_BYTES })
  }

  function assertOk(cid: CID, { status, retryAfterMs }: Answer): void {
    if (status === 200) return
    const message = `${name}: HTTP status ${status}, asked for ${cid}`
    if (status === 429 || status >= 500) throw new AskLaterError(message, retryAfterMs)
    throw new BackendError(message, { retryable: false })
  }

  async function assertGateway(options: AskOptions): Promise<void> {
    if (isGateway) return
    const answer = await ask(EMPTY_BLOCK, 'GET', options)
    const { status, bytes } = answer
    if (!isAbsent(status)) assertOk(EMPTY_BLOCK, answer)
    if (status !== 200 || bytes.length > 0) {
      const got = status === 200 ? 'something else' : `HTTP status ${status}`
      const message = `${name}: it is no trustless gateway: ${got} for the empty block ${EMPTY_BLOCK}`
      throw new BackendError(message, { retryable: false })
    }
    isGateway = true
  }

  return {
    id: base.href,
    kind: 'gateway',
    async getBlock(cid, options) {
      const answer = await ask(cid, 'GET', options)
      if (isAbsent(answer.status)) {
        await assertGateway(options)
        return undefined
      }
      assertOk(cid, answer)
      try {
        await verify(cid, answer.bytes)
      } catch (cause) {
        if (!(cause instanceof IntegrityError)) throw cause
        throw new IntegrityError(`${name}: ${cause.message}`, { cid, actual: cause.actual, cause })
      }
      isGateway = true
      return answer.bytes
    },
    async hasBlock(cid, options) {
      const answer = await ask(cid, 'HEAD', options)
      if (!isAbsent(answer.status)) assertOk(cid, answer)
      await assertGateway(options)
      return answer.status === 200
    },
  }
}

const isAbsent = (status: number): boolean => status === 404 || status === 410
