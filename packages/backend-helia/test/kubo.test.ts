import { readFile } from 'node:fs/promises'

import { parseCid } from '@x/cid'
import { importCar } from '@x/storage-core'
import { afterAll, expect, it, onTestFinished, type TestContext } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo, type KuboNode, type StartKuboOptions } from '../../../tooling/kubo/start-kubo.ts'
import { onDisk } from './on-disk.ts'
import { bytesOf, memory, openPeer, sampleBytes, useOwnTime, visibleIn } from './setup.ts'

const MIB = 1024 * 1024

async function openKubo(
  context: TestContext,
  options: StartKuboOptions = {},
  which: 'current' | 'oldest' = 'current',
): Promise<KuboNode> {
  const kubo = await startKubo(kuboOrSkip(context, which), options)
  onTestFinished(() => kubo.stop())
  return kubo
}

let shared: Promise<KuboNode> | undefined
let mortal: Promise<KuboNode> | undefined
afterAll(async () => {
  await (await shared)?.stop()
  await (await mortal)?.stop()
})

/** Another one, which is killed. */
async function openMortal(context: TestContext): Promise<KuboNode> {
  const found = kuboOrSkip(context)
  mortal ??= startKubo(found, { profiles: ['unixfs-v0-2015'] })
  return mortal
}

/** One daemon for all who do it no harm. */
async function openShared(context: TestContext): Promise<KuboNode> {
  const found = kuboOrSkip(context)
  shared ??= startKubo(found, { profiles: ['unixfs-v1-2025'], transports: ['tcp', 'ws'] })
  return shared
}

const tcpOf = ({ addresses }: KuboNode): string[] => addresses.filter((address) => !address.includes('/ws'))

it.for(['unixfs-v1-2025', 'unixfs-v0-2015'] as const)(
  'pulls from Kubo what `ipfs add` made under %s',
  async (profile, context) => {
    const kubo = await (profile === 'unixfs-v1-2025' ? openShared(context) : openMortal(context))
    const bytes = sampleBytes(1, 7 * MIB + 11)
    const { stdout } = await kubo.ipfs(['add', '--quieter'], { input: bytes })
    const cid = parseCid(stdout.toString().trim())
    const store = await onDisk()
    const peer = await openPeer({ store, peers: tcpOf(kubo), providers: 'given' })
    await peer.pull(cid)
    const path = await store.getPath(cid)
    expect((await readFile(path)).equals(bytes)).toBe(true)
  },
)

it.for(['current', 'oldest'] as const)(
  'gives Kubo what it pins, and what it exports is what we have (%s)',
  async (which, context) => {
    const kubo = await (which === 'current' ? openShared(context) : openKubo(context, {}, which))
    const peer = await openPeer()
    const bytes = sampleBytes(2, 9 * MIB + 1)
    const { cid } = await peer.store.add(bytes)
    await kubo.ipfs(['swarm', 'connect', String(peer.addresses()[0])])
    await kubo.ipfs(['pin', 'add', String(cid)])
    const { stdout } = await kubo.ipfs(['dag', 'export', String(cid)])
    const store = await memory()
    await importCar(store, [new Uint8Array(stdout)])
    expect(Buffer.from(await bytesOf(store.cat(cid))).equals(bytes)).toBe(true)
    expect(peer.status().servedBytes).toBeGreaterThanOrEqual(bytes.length)
    const { stdout: added } = await kubo.ipfs(['add', '--quieter', '--cid-version=1'], {
      input: sampleBytes(8, 2 * MIB),
    })
    const theirs = parseCid(added.toString().trim())
    await peer.pull(theirs)
    expect(await peer.store.has(theirs)).toBe(true)
  },
)

it('is told at once what Kubo does not have, and what is missing in the middle', async (context) => {
  const kubo = await openShared(context)
  const absent = await (await memory()).add(sampleBytes(3, 100))
  const peer = await openPeer({ peers: tcpOf(kubo), providers: 'given', stallTimeoutMs: 10_000 })
  expect(await peer.source.blocks.has(absent.cid)).toBe(false)
  await expect(peer.pull(absent.cid)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const { stdout } = await kubo.ipfs(['add', '--quieter', '--chunker=size-262144', '--pin=false'], {
    input: sampleBytes(4, 3 * MIB),
  })
  const root = stdout.toString().trim()
  const { stdout: refs } = await kubo.ipfs(['refs', root])
  const missing = refs.toString().trim().split('\n')[5]
  await kubo.ipfs(['block', 'rm', String(missing)])
  await expect(peer.pull(parseCid(root))).rejects.toMatchObject({ code: 'NOT_FOUND', cid: parseCid(String(missing)) })
  expect(await visibleIn(peer.store)).toEqual([])
})

it('goes on when Kubo is killed midway and started again', async (context) => {
  const kubo = await openMortal(context)
  const { stdout } = await kubo.ipfs(['add', '--quieter', '--cid-version=1'], { input: sampleBytes(5, 24 * MIB) })
  const cid = parseCid(stdout.toString().trim())
  const peer = await openPeer({ peers: kubo.addresses, providers: 'given', stallTimeoutMs: 20_000 })
  let again: Promise<void> | undefined
  await peer.pull(cid, {
    onProgress: ({ blocks }) => {
      if (blocks === 8) again = kubo.kill().then(() => kubo.restart())
    },
  })
  await again
  expect(again).toBeDefined()
  expect(await peer.store.has(cid)).toBe(true)
})

it('pulls from Kubo over WebSockets', async (context) => {
  const kubo = await openShared(context)
  const { stdout } = await kubo.ipfs(['add', '--quieter', '--cid-version=1'], { input: sampleBytes(7, 2 * MIB) })
  const peer = await openPeer({
    peers: kubo.addresses.filter((address) => address.includes('/ws')),
    listen: [],
  })
  const cid = parseCid(stdout.toString().trim())
  await peer.pull(cid)
  expect(await peer.store.has(cid)).toBe(true)
})

// The last one: it does not come back.
it('fails when Kubo is killed and stays away, and leaves nothing', async (context) => {
  const kubo = await openMortal(context)
  const { stdout } = await kubo.ipfs(['add', '--quieter', '--cid-version=1'], { input: sampleBytes(6, 24 * MIB) })
  const cid = parseCid(stdout.toString().trim())
  const time = useOwnTime()
  const peer = await openPeer({ peers: kubo.addresses, providers: 'given' })
  let killed: Promise<void> | undefined
  const onProgress = ({ blocks }: { blocks: number }): void => {
    if (blocks !== 8) return
    // Then it is not waited for as long as one that is busy.
    killed = kubo.kill().finally(() => (time.speed = 50))
  }
  const failure = { code: 'BACKEND', retryable: true, message: expect.stringContaining('cannot connect') }
  await expect(peer.pull(cid, { onProgress })).rejects.toMatchObject(failure)
  await killed
  expect(await visibleIn(peer.store)).toEqual([])
})
