import { once } from 'node:events'
import { Server as HttpServer } from 'node:http'
import type { Server } from 'node:net'

import { openMemoryStore, type ContentStore } from '@x/storage-core'
import { onTestFinished, vi } from 'vitest'

import { collect } from '../../storage-core/src/conformance/sample.ts'
import { openHelia, type HeliaOptions, type HeliaPeer } from '../src/index.ts'

export { collect, sampleBytes } from '../../storage-core/src/conformance/sample.ts'

export const LOOPBACK = '/ip4/127.0.0.1/tcp/0'

/** A store in memory that is closed with the test. */
export async function memory(): Promise<ContentStore> {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  return store
}

/** Listens on a port of loopback, which it resolves to, until the test is over. */
export async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    if (server instanceof HttpServer) server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('not listening')
  return address.port
}

export function needed<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('it is missing')
  return value
}

/** A peer on loopback that is closed with the test. */
export async function openPeer(options: Partial<HeliaOptions> = {}): Promise<HeliaPeer> {
  const store = options.store ?? (await memory())
  const peer = await openHelia({ network: 'libp2p', listen: [LOOPBACK], ...options, store })
  onTestFinished(() => peer.close())
  return peer
}

export const bytesOf = async (pieces: AsyncIterable<Uint8Array>): Promise<Buffer> =>
  Buffer.concat(await collect(pieces))

export interface OwnTime {
  /** How many times as fast it goes as the turns of this process. */
  speed: number
}

/**
 * A clock that goes on with the turns of this process, in which all peers are: while a busy machine runs something else it stands
 * still. What libp2p is given of limits goes by the real one.
 */
export function useOwnTime(speed = 1): OwnTime {
  const time = { speed }
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  const clock = setInterval(() => vi.advanceTimersByTime(10 * time.speed), 10)
  onTestFinished(() => {
    clearInterval(clock)
    vi.useRealTimers()
  })
  return time
}

/** What a failed pull must leave: nothing. */
export async function visibleIn(store: ContentStore): Promise<unknown[]> {
  await store.gc()
  return [
    ...(await collect(store.roots())),
    ...(await collect(store.pins())),
    ...(await collect(store.names.list())),
    ...(await collect(store.blocks.list())),
  ]
}
