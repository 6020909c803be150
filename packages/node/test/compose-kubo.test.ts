import { chmod, open as openFile, readdir } from 'node:fs/promises'
import path from 'node:path'

import type { CID } from '@x/cid'
import {
  composeStorage,
  parseBackendSpec,
  type ComposedStorage,
  type ComposeStorageOptions,
  type Storage,
} from '@x/node'
import type { Receipt, ReplicatorEvent } from '@x/storage-core'
import { expect, it, onTestFinished, type TestContext } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo, type KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { openTemporary } from './support.ts'

const MIB = 1024 * 1024

/** No leaf of which is like another one. */
const someBytes = (length: number, seed: number): Uint8Array =>
  new Uint8Array(Uint32Array.from({ length: length / 4 }, (_, index) => Math.imul(index + seed, 0x9e3779b1)).buffer)

interface Scene {
  kubo: KuboNode
  storage: Storage
  composed: ComposedStorage
  events: ReplicatorEvent[]
}

async function start(
  context: TestContext,
  write: 'write-through' | 'write-behind',
  { environment = {}, ...options }: Omit<Partial<ComposeStorageOptions>, 'backends'> = {},
): Promise<Scene> {
  const kubo = await startKubo(kuboOrSkip(context), { online: false })
  onTestFinished(() => kubo.stop())
  const storage = await openTemporary({ beside: ['kubo'], environment })
  const events: ReplicatorEvent[] = []
  const composed = await composeStorage(storage, {
    backends: [{ spec: parseBackendSpec(`kubo=${kubo.api}`), write }],
    environment,
    breaker: { openMs: 1 },
    copies: { retryMs: 50, mostRetryMs: 200 },
    onCopy: (event) => void events.push(event),
    ...options,
  })
  onTestFinished(() => composed.close())
  return { kubo, storage, composed, events }
}

async function add(composed: ComposedStorage, bytes: Uint8Array): Promise<{ cid: CID; receipt: Receipt | undefined }> {
  let receipt: Receipt | undefined
  const { cid } = await composed.add(bytes, { onReceipt: (given) => void (receipt = given) })
  return { cid, receipt }
}

async function read(composed: ComposedStorage, cid: CID): Promise<{ bytes: Buffer; receipt: Receipt | undefined }> {
  let receipt: Receipt | undefined
  const pieces: Uint8Array[] = []
  for await (const piece of composed.cat(cid, { onReceipt: (given) => void (receipt = given) })) pieces.push(piece)
  return { bytes: Buffer.concat(pieces), receipt }
}

const nameOf = ({ api }: KuboNode): string => `kubo=${new URL(api).host}`

/** Changes a byte of the largest file that is held whole. */
async function flip(storage: Storage, offset: number): Promise<void> {
  const folder = path.join(storage.directory, 'files')
  const [file] = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.bin'))
  const at = path.join(folder, file ?? '')
  await chmod(at, 0o644)
  const handle = await openFile(at, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, offset)
  byte[0] = (byte[0] ?? 0) ^ 1
  await handle.write(byte, 0, 1, offset)
  await handle.close()
}

it('what is written while the daemon is stopped is here, named as owed, and there once it runs again', async (context) => {
  const { kubo, composed, storage } = await start(context, 'write-through')
  const first = await add(composed, someBytes(3 * MIB, 1))
  expect(first.receipt?.attempts).toMatchObject([
    { backend: nameOf(kubo), outcome: 'answered' },
    { backend: 'fs', outcome: 'answered' },
  ])
  expect((await kubo.ipfs(['pin', 'ls', '--type=recursive', '--quiet'])).stdout.toString()).toContain(String(first.cid))

  await kubo.kill()
  const second = await add(composed, someBytes(2 * MIB, 2))
  expect(second.receipt?.attempts).toMatchObject([
    { backend: nameOf(kubo), outcome: 'failed', code: 'BACKEND' },
    { backend: 'fs', outcome: 'answered' },
  ])
  expect((await read(composed, second.cid)).receipt?.answeredBy).toBe('fs')
  expect(await composed.copies?.outbox.list()).toMatchObject([{ operation: 'put', state: 'waiting' }])

  await kubo.restart()
  await composed.copies?.drained()
  expect((await kubo.ipfs(['pin', 'ls', '--type=recursive', '--quiet'])).stdout.toString()).toContain(
    String(second.cid),
  )
  expect(await composed.copies?.outbox.list()).toEqual([])
  expect(await composed.copies?.outbox.copies()).toMatchObject([{ state: 'verified' }, { state: 'verified' }])
  expect(await storage.has(second.cid)).toBe(true)
})

it('what is damaged here is read from the daemon and repaired, and the receipt says so', async (context) => {
  const { kubo, composed, storage } = await start(context, 'write-behind')
  const bytes = someBytes(4 * MIB, 3)
  const { cid, receipt } = await add(composed, bytes)
  expect(receipt?.attempts).toContainEqual(expect.objectContaining({ backend: nameOf(kubo), outcome: 'owed' }))
  await composed.copies?.drained()
  await flip(storage, MIB + 7)
  const healed = await read(composed, cid)
  expect(healed.bytes.equals(bytes)).toBe(true)
  expect(healed.receipt?.attempts).toContainEqual(
    expect.objectContaining({ backend: 'fs', outcome: 'failed', code: 'INTEGRITY' }),
  )
  expect(healed.receipt?.gave).toContainEqual({ backend: nameOf(kubo), blocks: 1, bytes: MIB })
  await kubo.kill()
  expect((await read(composed, cid)).bytes.equals(bytes)).toBe(true)
  expect(await storage.verify(cid)).toBe(bytes.length)
})

it('cut off from everything, what is preferred is served from the disk, and what is required is an error', async (context) => {
  const { kubo, composed, storage } = await start(context, 'write-through')
  const { cid } = await add(composed, someBytes(MIB, 4))
  await kubo.kill()
  expect((await read(composed, cid)).receipt?.answeredBy).toBe('fs')
  const environment = { IPFS_ACCELERATE_KUBO: 'require' }
  const backends = [{ spec: parseBackendSpec(`kubo=${kubo.api}`), write: 'write-through' as const }]
  await expect(composeStorage(storage, { backends, environment })).rejects.toMatchObject({
    code: 'GATED',
    feature: 'kubo',
  })
})

it('what is removed everywhere is unpinned there, and who could not be told is named', async (context) => {
  const { kubo, composed } = await start(context, 'write-through')
  const [one, two] = [await add(composed, someBytes(MIB, 5)), await add(composed, someBytes(MIB, 6))]
  expect(await composed.copies?.removeEverywhere(one.cid)).toEqual([{ target: nameOf(kubo), outcome: 'removed' }])
  await kubo.kill()
  expect(await composed.copies?.removeEverywhere(two.cid)).toMatchObject([{ target: nameOf(kubo), outcome: 'owed' }])
  await kubo.restart()
  await composed.copies?.drained()
  const pins = (await kubo.ipfs(['pin', 'ls', '--type=recursive', '--quiet'])).stdout.toString()
  expect([one, two].filter(({ cid }) => pins.includes(String(cid)))).toEqual([])
})
