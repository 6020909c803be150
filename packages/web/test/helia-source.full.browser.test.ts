import { webRtcDirect } from '@x/backend-helia/webrtc'
import { parseCid, type CID } from '@x/cid'
import { expect, it, onTestFinished } from 'vitest'
import { commands } from 'vitest/browser'

import type { PageKubo } from '../../../tooling/kubo/page-commands.ts'
import { heliaSource, type HeliaSourceOptions } from '../src/helia.ts'
import { openModel, openStorage, pullModel } from '../src/index.ts'

const WEIGHTS = new Uint8Array(5_500_000).map((_, index) => Math.imul(index, 0x9e3779b1) >>> 24)
const CONFIG = new TextEncoder().encode('{"model_type":"bert","architectures":["BertModel"]}')

function base64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(text)
}

/** A daemon that holds a model. */
async function startKubo(
  context: { skip: (reason: string) => never },
  transport: 'ws' | 'webrtc-direct',
): Promise<{ peers: readonly string[]; cid: CID }> {
  const kubo: PageKubo | { reason: string } = await commands.startKubo({ online: true, transports: [transport] })
  if ('reason' in kubo) return context.skip(kubo.reason)
  onTestFinished(() => commands.stopKubo(kubo.id))
  const ipfs = (args: string[], input?: string) => commands.kuboIpfs(kubo.id, args, input)
  await ipfs(['files', 'mkdir', '--cid-version=1', '/model'])
  for (const [path, bytes] of [['config.json', CONFIG] as const, ['weights.bin', WEIGHTS] as const]) {
    const cid = await ipfs(['add', '-Q', '--cid-version=1'], base64(bytes))
    await ipfs(['files', 'cp', `/ipfs/${cid.trim()}`, `/model/${path}`])
  }
  const root = await ipfs(['files', 'stat', '--hash', '/model'])
  return { peers: kubo.addresses, cid: parseCid(root.trim()) }
}

/** The weights as the storage has them, and who gave them. */
async function pullFrom(cid: CID, options: HeliaSourceOptions): Promise<{ weights: Uint8Array; named: string[] }> {
  const directory = `helia-${crypto.randomUUID()}`
  const storage = await openStorage({ directory })
  onTestFinished(() => storage.close())
  const named = new Set<string>()
  await pullModel(storage, `ipfs://${cid}`, {
    directory,
    sources: [heliaSource({ ...options, name: 'kubo' })],
    name: 'org/model',
    onProgress: ({ sources }) => sources.forEach(({ name }) => void named.add(name)),
  })
  const model = await openModel(storage, 'org/model', { verify: 'each-open' })
  const file = await model.file('weights.bin')
  return { weights: new Uint8Array(await file.arrayBuffer()), named: [...named] }
}

it('brings a model from Kubo into the storage, over WebSockets', async (context) => {
  const { peers, cid } = await startKubo(context, 'ws')
  expect(await pullFrom(cid, { peers })).toEqual({ weights: WEIGHTS, named: ['kubo'] })
})

it('brings a model from Kubo into the storage, over WebRTC', async (context) => {
  const { peers, cid } = await startKubo(context, 'webrtc-direct')
  const pulled = await pullFrom(cid, { peers, transports: [webRtcDirect()] })
  expect(pulled).toEqual({ weights: WEIGHTS, named: ['kubo'] })
})

it('has a model though a peer cannot be reached, and names that one where it is the only one', async (context) => {
  const { peers, cid } = await startKubo(context, 'ws')
  // A port that nobody listens on, and the key of nobody.
  const gone = '/ip4/127.0.0.1/tcp/1/ws/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo'
  expect(await pullFrom(cid, { peers: [gone, ...peers] })).toEqual({ weights: WEIGHTS, named: ['kubo'] })
  await expect(pullFrom(cid, { peers: [gone] })).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringContaining(gone),
  })
})
