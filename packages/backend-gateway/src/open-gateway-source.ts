import { InvalidInputError, type ContentSource } from '@x/storage-core'

import { createEndpoint, type EndpointOptions } from './endpoint.ts'
import { createGatewayUpstream } from './gateway-upstream.ts'
import { createHealth } from './health.ts'
import { createPoolSource } from './pool-source.ts'
import { allowOnly, createSend } from './request.ts'
import { positive, type SourceOptions } from './source-options.ts'

export interface GatewaySourceOptions extends SourceOptions {
  /** Trustless gateways, in the order in which they are preferred while nothing else is known of them. At least one. */
  gateways: readonly (string | EndpointOptions)[]
  /** How long a gateway may be silent before the next one is asked too. Milliseconds. Default: learnt of each; first 1_500. */
  hedgeAfterMs?: number | undefined
  /** Blocks that one gateway is asked for one by one at a time. Default 6. */
  maxRequests?: number | undefined
  /** CAR streams of one gateway at a time; over it, blocks are asked for one by one. Default 4. */
  maxStreams?: number | undefined
  /**
   * `has` asks with `Cache-Control: only-if-cached`, so that a gateway says what it holds and does not search. A page may
   * send that to another origin only where the gateway allows this header. Default false.
   */
  onlyIfCached?: boolean | undefined
}

// A bounded part of a stream that nobody asked for yet.
const READ_AHEAD_BYTES = 2 * 1024 * 1024

/**
 * Content from trustless IPFS gateways, over `fetch` alone. Nothing is contacted by opening it: `status` asks each.
 *
 * @throws {InvalidInputError} No gateway, one that is no address, or a number that is none.
 * @see https://specs.ipfs.tech/http-gateways/trustless-gateway/
 */
export async function openGatewaySource(options: GatewaySourceOptions): Promise<ContentSource> {
  const { gateways, name = 'gateway', onlyIfCached = false, onEvent = () => undefined } = options
  if (gateways.length === 0) throw new InvalidInputError('no gateway was given', { input: 'gateways' })
  const endpoints = gateways.map((gateway) => createEndpoint(gateway))
  const allow = options.allow ?? allowOnly(endpoints)
  const send = createSend({ fetch: options.fetch ?? globalThis.fetch.bind(globalThis), allow })
  const stallTimeoutMs = positive('stallTimeoutMs', options.stallTimeoutMs, 30_000)
  const maxRequests = positive('maxRequests', options.maxRequests, 6)
  const maxStreams = positive('maxStreams', options.maxStreams, 4)
  const upstreams = endpoints.map((endpoint) =>
    createGatewayUpstream({
      endpoint,
      send,
      stallTimeoutMs,
      maxRequests,
      maxStreams,
      onlyIfCached,
      onEvent,
      health: createHealth(),
    }),
  )
  return createPoolSource({
    name,
    aheadBlocks: maxRequests,
    readAheadBytes: READ_AHEAD_BYTES,
    pool: {
      upstreams,
      onEvent,
      stallTimeoutMs,
      tries: positive('tries', options.tries, 5),
      backoffMs: positive('backoffMs', options.backoffMs, 250),
      maxWaitMs: positive('maxWaitMs', options.maxWaitMs, 60_000),
      hedgeAfterMs: options.hedgeAfterMs === undefined ? undefined : positive('hedgeAfterMs', options.hedgeAfterMs, 1),
    },
  })
}
