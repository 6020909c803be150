import { createCipheriv } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'

import { parseCid } from '@x/cid'
import { expect, it, onTestFinished } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo } from '../../../tooling/kubo/start-kubo.ts'
import { onDisk } from './on-disk.ts'
import { openPeer } from './setup.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB

/** Bytes that do not compress, the same each time. */
async function* model(byteLength = GIB): AsyncGenerator<Uint8Array> {
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32, 7), Buffer.alloc(16))
  for (let left = byteLength; left > 0; left -= MIB) yield cipher.update(Buffer.alloc(Math.min(MIB, left)))
}

/** By how much this process grew at its largest while `work` ran. Bytes. */
async function growth(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss()
  let most = before
  const sampling = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss())
  }, 20)
  await work().finally(() => clearInterval(sampling))
  return most - before
}

it('moves 1 GiB between two peers, both in this process, in little memory', async () => {
  const from = await openPeer({ store: await onDisk() })
  const { cid } = await from.store.add({ type: 'file', open: () => model() })
  const to = await openPeer({ store: await onDisk(), peers: from.addresses(), providers: 'given' })
  const grew = await growth(async () => {
    expect(await to.pull(cid)).toMatchObject({ cid })
  })
  expect((await stat(String(await to.store.getPath?.(cid)))).size).toBe(GIB)
  expect(grew).toBeLessThan(350e6)
})

it('stays small when the reader is slow', async () => {
  const from = await openPeer({ store: await onDisk() })
  const { cid } = await from.store.add({ type: 'file', open: () => model() })
  const to = await openPeer({ peers: from.addresses(), providers: 'given' })
  let bytes = 0
  const grew = await growth(async () => {
    for await (const piece of to.source.cat(cid)) {
      bytes += piece.length
      // A reader that works on each piece: its slowness is the question, so there is no event to wait for.
      await wait(5)
    }
  })
  expect(bytes).toBe(GIB)
  expect(grew).toBeLessThan(350e6)
})

it('moves 1 GiB from Kubo and to Kubo', async (context) => {
  const kubo = await startKubo(kuboOrSkip(context), { profiles: ['unixfs-v1-2025'] })
  onTestFinished(() => kubo.stop())
  const { stdout } = await kubo.ipfs(['add', '--quieter'], { input: model() })
  const cid = parseCid(stdout.toString().trim())
  const from = await openPeer({ store: await onDisk(), peers: kubo.addresses, providers: 'given' })
  await from.pull(cid)
  expect((await stat(String(await from.store.getPath?.(cid)))).size).toBe(GIB)
  const other = await startKubo(kuboOrSkip(context))
  onTestFinished(() => other.stop())
  await other.ipfs(['swarm', 'connect', String(from.addresses().find((address) => address.includes('127.0.0.1')))])
  await other.ipfs(['pin', 'add', '--progress=false', String(cid)])
  const { stdout: pins } = await other.ipfs(['pin', 'ls', '--type=recursive', '--quiet'])
  expect(pins.toString()).toContain(String(cid))
  expect(from.status().servedBytes).toBeGreaterThan(GIB)
})
