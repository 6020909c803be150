import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ClientRequest } from 'node:http'

import type { ContentStore } from '@x/storage-core'
import { contentStoreConformance, type ContentStoreSetup } from '@x/storage-core/conformance'
import { afterAll, beforeAll, beforeEach, describe, onTestFinished } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { openKuboStore } from '../src/index.ts'
import { corruptBlock } from './flatfs.ts'
import { createKuboPool } from './kubo-pool.ts'
import { openBroken } from './open-broken.ts'

// The suite of every content store, each of its stores a real daemon, over a Unix socket.

const nodes = new WeakMap<ContentStore, KuboNode>()
/** Blocks asked for, by the daemon's socket. */
const gets = new Map<string, number>()

function count(message: unknown): void {
  if (!isRequestStart(message)) return
  const { request } = message
  if (!request.path.startsWith('/api/v0/block/get?')) return
  const socketPath = 'socketPath' in request ? request.socketPath : undefined
  if (typeof socketPath === 'string') gets.set(socketPath, (gets.get(socketPath) ?? 0) + 1)
}

const isRequestStart = (message: unknown): message is { request: ClientRequest } =>
  typeof message === 'object' && message !== null && 'request' in message

/** Defines the tests. At the top of a test file. */
export function describeConformance(setup: Pick<ContentStoreSetup, 'writerSeeds' | 'writerSteps'>): void {
  describe('with a daemon', () => {
    beforeEach((context) => void kuboOrSkip(context))
    const pool = createKuboPool()
    beforeAll(() => subscribe('http.client.request.start', count))
    afterAll(() => void unsubscribe('http.client.request.start', count))

    async function open(): Promise<ContentStore> {
      const node = await pool.take()
      const store = await openKuboStore({ url: `unix:${node.socket ?? ''}` })
      onTestFinished(() => store.close())
      nodes.set(store, node)
      return store
    }

    contentStoreConformance('kubo', {
      open,
      openBroken: async () => openBroken(await pool.take()),
      async corrupt(store, cid) {
        const node = nodes.get(store)
        if (node) await corruptBlock(node, cid)
      },
      ...setup,
      leavesRead: (store) => gets.get(nodes.get(store)?.socket ?? '') ?? 0,
    })
  })
}
