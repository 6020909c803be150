import { CID } from '@x/cid'
import { openMemoryStore } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'
import { commands } from 'vitest/browser'

import type { PageKubo } from '../../../tooling/kubo/page-commands.ts'
import { openHelia, type HeliaOptions } from '../src/index.ts'
import { webRtcDirect } from '../src/webrtc.ts'

const weights = new Uint8Array(5_500_000).map((_, index) => Math.imul(index, 0x9e3779b1) >>> 24)

interface Given {
  peers: readonly string[]
  cid: CID
}

/** A daemon that holds the weights. */
async function startKubo(
  context: { skip: (reason: string) => never },
  transport: 'ws' | 'webrtc-direct',
): Promise<Given> {
  const kubo: PageKubo | { reason: string } = await commands.startKubo({ online: true, transports: [transport] })
  if ('reason' in kubo) return context.skip(kubo.reason)
  onTestFinished(() => commands.stopKubo(kubo.id))
  const text = Array.from({ length: Math.ceil(weights.length / 8192) }, (_, part) =>
    String.fromCharCode(...weights.subarray(part * 8192, (part + 1) * 8192)),
  )
  const printed = await commands.kuboIpfs(kubo.id, ['add', '-Q', '--cid-version=1'], btoa(text.join('')))
  return { peers: kubo.addresses, cid: CID.parse(printed.trim()) }
}

async function pullInPage({ peers, cid }: Given, options: Partial<HeliaOptions> = {}): Promise<string[]> {
  const store = await openMemoryStore()
  const peer = await openHelia({ store, network: 'libp2p', peers, providers: 'given', ...options })
  onTestFinished(() => peer.close())
  const { fetched } = await peer.pull(cid)
  expect(fetched).toBeGreaterThan(weights.length)
  expect(await store.verify(cid)).toBeGreaterThan(weights.length)
  let position = 0
  for await (const piece of store.cat(cid)) {
    expect(piece).toEqual(weights.subarray(position, position + piece.length))
    position += piece.length
  }
  expect(position).toBe(weights.length)
  return peer.peers().map(({ address }) => address)
}

it('fetches a file from Kubo over WebSockets, in the page, and checks it', async (context) => {
  expect(await pullInPage(await startKubo(context, 'ws'))).toEqual([expect.stringContaining('/ws')])
})

it('fetches a file from Kubo over WebRTC, in the page, and checks it', async (context) => {
  const given = await startKubo(context, 'webrtc-direct')
  expect(await pullInPage(given, { transports: [webRtcDirect()] })).toEqual([expect.stringContaining('/webrtc-direct')])
})

it('has no LAN in a page', async () => {
  const store = await openMemoryStore()
  await expect(openHelia({ store, network: 'lan' })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
})

it('reads what the page holds without a network', async () => {
  const store = await openMemoryStore()
  const { cid } = await store.add(weights)
  const peer = await openHelia({ store, network: 'none' })
  onTestFinished(() => peer.close())
  expect(await peer.source.stat(cid)).toMatchObject({ size: weights.length })
})
