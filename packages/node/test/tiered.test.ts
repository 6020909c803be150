import { chmod, open, readdir } from 'node:fs/promises'
import path from 'node:path'

import { cidOf, RAW, type CID } from '@x/cid'
import { type Storage } from '@x/node'
import {
  createContentSource,
  createTieredStore,
  openMemoryStore,
  type ContentStore,
  type Receipt,
  type TieredStore,
  type TierEvent,
} from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { openTemporary } from './support.ts'

const MIB = 1024 * 1024

/** No leaf of which is like another one. */
const someBytes = (length: number): Uint8Array => {
  const words = Uint32Array.from({ length: Math.ceil(length / 4) }, (_, index) => Math.imul(index + 1, 0x9e3779b1))
  return new Uint8Array(words.buffer, 0, length)
}

interface Composed {
  tiered: TieredStore
  storage: Storage
  /** What the other backend holds. */
  elsewhere: ContentStore
  /** Raw blocks that the other backend was asked for. */
  asked: string[]
  events: TierEvent[]
}

async function openComposed(): Promise<Composed> {
  const storage = await openTemporary()
  const elsewhere = await openMemoryStore({ name: 'elsewhere' })
  const asked: string[] = []
  const events: TierEvent[] = []
  const source = createContentSource({
    blocks: {
      ...elsewhere.blocks,
      name: 'elsewhere',
      async get(cid, options) {
        if (cid.code === RAW) asked.push(String(cid))
        return elsewhere.blocks.get(cid, options)
      },
    },
    probe: (options) => elsewhere.status(options),
  })
  const onEvent = (event: TierEvent): void => void events.push(event)
  const tiered = createTieredStore(storage, { tiers: [{ role: 'near', source }], onEvent })
  onTestFinished(() => tiered.close())
  return { tiered, storage, elsewhere, asked, events }
}

/** Changes a byte of the one file that is held whole. */
async function flip(storage: Storage, offset: number): Promise<void> {
  const found = await readdir(path.join(storage.directory, 'files'), { recursive: true })
  const file = found.find((name) => name.endsWith('.bin'))
  if (file === undefined) throw new Error('no file is held')
  const at = path.join(storage.directory, 'files', file)
  await chmod(at, 0o644)
  const handle = await open(at, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, offset)
    byte[0] = (byte[0] ?? 0) ^ 1
    await handle.write(byte, 0, 1, offset)
  } finally {
    await handle.close()
  }
}

async function read(tiered: TieredStore, cid: CID): Promise<{ bytes: Buffer; receipt: Receipt | undefined }> {
  let receipt: Receipt | undefined
  const pieces: Uint8Array[] = []
  for await (const piece of tiered.cat(cid, { onReceipt: (given) => void (receipt = given) })) pieces.push(piece)
  return { bytes: Buffer.concat(pieces), receipt }
}

it('a byte that has flipped on the disk is read from elsewhere and repaired, and no other leaf is fetched for it', async () => {
  const { tiered, storage, elsewhere, asked, events } = await openComposed()
  const bytes = someBytes(6 * MIB + 9)
  const { cid } = await storage.add(bytes, { name: 'model' })
  await elsewhere.add(bytes)
  await flip(storage, 2 * MIB + 5)

  const { bytes: got, receipt } = await read(tiered, cid)
  expect(got.equals(bytes)).toBe(true)
  const bad = String(await cidOf(RAW, bytes.subarray(2 * MIB, 3 * MIB)))
  expect(new Set(asked)).toEqual(new Set([bad]))
  expect(asked).toHaveLength(1)
  expect(receipt?.attempts).toContainEqual(
    expect.objectContaining({ backend: 'fs', outcome: 'failed', code: 'INTEGRITY' }),
  )
  expect(receipt?.gave).toContainEqual({ backend: 'elsewhere', blocks: 1, bytes: MIB })
  expect(events.map(({ type }) => type)).toContain('repaired')

  expect(await storage.verify(cid)).toBe(bytes.length)
  expect((await read(tiered, cid)).receipt).toMatchObject({ answeredBy: 'fs', attempts: [{ outcome: 'answered' }] })
  expect(asked).toHaveLength(1)
  await storage.gc()
  expect((await storage.names.get('model'))?.cid).toEqual(cid)
  expect((await read(tiered, cid)).bytes.equals(bytes)).toBe(true)
  expect(await readdir(path.join(storage.directory, 'quarantine'))).toEqual([])
})

it('of a file that is damaged and nowhere else, what is sound is still read block by block', async () => {
  const { tiered, storage } = await openComposed()
  const bytes = someBytes(3 * MIB)
  const { cid } = await storage.add(bytes)
  await flip(storage, MIB)
  await expect(read(tiered, cid)).rejects.toMatchObject({ code: 'INTEGRITY', offset: MIB })
  const [first, second] = [await cidOf(RAW, bytes.subarray(0, MIB)), await cidOf(RAW, bytes.subarray(MIB, 2 * MIB))]
  expect(Buffer.from((await storage.salvage?.(first)) ?? []).equals(bytes.subarray(0, MIB))).toBe(true)
  expect(await storage.salvage?.(second)).toBeUndefined()
  expect(await storage.has(cid)).toBe(false)
})
