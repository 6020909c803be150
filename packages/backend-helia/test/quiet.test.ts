import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { expect, it } from 'vitest'

import { memory, openPeer, sampleBytes } from './setup.ts'

const run = promisify(execFile)
const script = fileURLToPath(new URL('children/quiet.ts', import.meta.url))
const ends = fileURLToPath(new URL('children/ends.ts', import.meta.url))
const node = [process.execPath, '--conditions=@x/source', script]

async function inOwnNetwork(): Promise<string[]> {
  // Without privileges the kernel may refuse.
  for (const unshare of [
    ['unshare', '-n'],
    ['unshare', '-rn'],
  ]) {
    const [program = '', ...args] = unshare
    const works = await run(program, [...args, 'true']).then(
      () => true,
      () => false,
    )
    if (works) return unshare
  }
  return []
}

// Each in a process of its own.
it.concurrent.for(['none', 'http'] as const)(
  '%s opens no socket, needs no network, loads no libp2p, and ends by itself',
  async (network, context) => {
    const unshare = await inOwnNetwork()
    if (unshare.length === 0) {
      context.skip('unshare -n does not work here')
      return
    }
    const { stdout } = await run('env', [...unshare, ...node, network])
    expect(JSON.parse(stdout)).toEqual({ bytes: 3_000_000, heavy: [], sockets: [] })
  },
)

it.concurrent.for(['libp2p', 'lan'])('%s leaves nothing behind that keeps a process alive', async (network) => {
  const [program = '', condition = ''] = node
  const { stdout, stderr } = await run(program, [condition, ends, network])
  expect(JSON.parse(stdout)).toMatchObject({ helia: 'stopped' })
  expect(stderr).not.toMatch(/unsettled|MaxListeners/)
})

it('libp2p listens nowhere unless told to', async () => {
  const peer = await openPeer({ listen: undefined })
  expect(peer.addresses()).toEqual([])
})

it('none says at once what is not held', async () => {
  const peer = await openPeer({ network: 'none' })
  const { cid } = await (await memory()).add(sampleBytes(1, 100))
  await expect(peer.source.blocks.get(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
  await expect(peer.pull(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
  await expect(peer.connect('/ip4/127.0.0.1/tcp/1/p2p/12D3KooW')).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  expect(await peer.source.status()).toMatchObject({ available: true, details: { network: 'none' } })
})
