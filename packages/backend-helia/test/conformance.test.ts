import { openMemoryStore } from '@x/storage-core'
import { contentSourceConformance } from '@x/storage-core/conformance'
import { onTestFinished } from 'vitest'

import { openHelia } from '../src/index.ts'
import { memory, openPeer } from './setup.ts'

const STALL_MS = 5000

// What one peer holds, read by another one that holds nothing and knows nobody else.
contentSourceConformance('helia over libp2p', {
  async open() {
    let leaves = 0
    const origin = await openMemoryStore()
    onTestFinished(() => origin.close())
    const { blocks } = origin
    const counted = {
      ...origin,
      blocks: {
        ...blocks,
        get: (...args: Parameters<typeof blocks.get>) => {
          if (args[0].code === 0x55) leaves += 1
          return blocks.get(...args)
        },
      },
    }
    const from = await openPeer({ store: counted })
    const to = await openPeer({ peers: from.addresses(), providers: 'given', stallTimeoutMs: STALL_MS })
    return { origin, source: to.source, leavesRead: () => leaves }
  },
  async openBroken() {
    const gone = await openPeer()
    const peers = gone.addresses()
    await gone.close()
    return (await openPeer({ peers, providers: 'given', stallTimeoutMs: STALL_MS })).source
  },
})

contentSourceConformance('helia without a network', {
  async open() {
    const origin = await memory()
    const peer = await openHelia({ store: origin, network: 'none' })
    onTestFinished(() => peer.close())
    return { origin, source: peer.source }
  },
})
