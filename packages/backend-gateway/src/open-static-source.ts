import type { ContentSource } from '@x/storage-core'

import { createEndpoint, type EndpointOptions } from './endpoint.ts'
import { createHealth } from './health.ts'
import { createPoolSource } from './pool-source.ts'
import { allowOnly, createSend } from './request.ts'
import { positive, type SourceOptions } from './source-options.ts'
import { createStaticUpstream, type Explaining } from './static-upstream.ts'

export interface StaticSourceOptions extends SourceOptions, EndpointOptions, Explaining {
  /** Refuse a larger outboard. Bytes; default 64 MiB, that of a file of 2 TiB in leaves of 1 MiB. */
  maxOutboardBytes?: number | undefined
  /** Single requests at a time. Default 6. */
  maxRequests?: number | undefined
  /** Files that are read at a time; over it, leaf by leaf. Default 4. */
  maxStreams?: number | undefined
}

const READ_AHEAD_BYTES = 2 * 1024 * 1024

/**
 * Content from a folder on any web server or from a bucket, as `exportStatic` writes it, over `fetch` alone. Nothing is
 * contacted by opening it.
 *
 * A block in the middle of a file is found once the file's root was read; before that it is `NOT_FOUND` by its own CID.
 *
 * @throws {InvalidInputError} No address, or a number that is none.
 * @see docs/static-folder.md
 */
export async function openStaticSource(options: StaticSourceOptions): Promise<ContentSource> {
  const { name = 'static', onEvent = () => undefined } = options
  const endpoint = createEndpoint(options)
  const allow = options.allow ?? allowOnly([endpoint])
  const send = createSend({ fetch: options.fetch ?? globalThis.fetch.bind(globalThis), allow })
  const stallTimeoutMs = positive('stallTimeoutMs', options.stallTimeoutMs, 30_000)
  const maxRequests = positive('maxRequests', options.maxRequests, 6)
  const upstream = createStaticUpstream({
    endpoint,
    send,
    maxRequests,
    health: createHealth(),
    stallTimeoutMs,
    explain: options.explain,
    maxStreams: positive('maxStreams', options.maxStreams, 4),
    maxOutboardBytes: positive('maxOutboardBytes', options.maxOutboardBytes, 64 * 1024 * 1024),
  })
  return createPoolSource({
    name,
    aheadBlocks: maxRequests,
    readAheadBytes: READ_AHEAD_BYTES,
    pool: {
      upstreams: [upstream],
      onEvent,
      stallTimeoutMs,
      tries: positive('tries', options.tries, 5),
      backoffMs: positive('backoffMs', options.backoffMs, 250),
      maxWaitMs: positive('maxWaitMs', options.maxWaitMs, 60_000),
      hedgeAfterMs: undefined,
    },
  })
}
