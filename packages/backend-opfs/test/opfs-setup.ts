import { RAW, type CID } from '@x/cid'
import type { ContentStore } from '@x/storage-core'
import { blockKey } from '@x/storage-core/backend'
import type { ContentStoreSetup } from '@x/storage-core/conformance'
import { onTestFinished } from 'vitest'

import type { Container } from '../src/catalogue.ts'
import { openOpfsStore } from '../src/index.ts'
import { DATA, indexGenerations, indexName, openDirectory } from '../src/layout.ts'
import type { Medium } from '../src/medium.ts'
import { createOpfsStore, type OpfsStore, type OpfsStoreParts } from '../src/opfs-store.ts'
import { openVault, type Vault } from '../src/vault.ts'
import { startDiskHost } from './remote-disk.ts'

export const fresh = (): string => `test-${crypto.randomUUID()}`

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

export async function dataFiles(directory: string): Promise<string[]> {
  const names: string[] = []
  for await (const name of (await openDirectory(`${directory}/${DATA}`, false)).keys()) names.push(name)
  return names
}

/** A store that was closed, of three named files in a data file each; what its index holds, and its data files in order. */
export async function storeOfThree(): Promise<{ directory: string; index: Uint8Array<ArrayBuffer>; files: string[] }> {
  const directory = fresh()
  const store = await openOpfsStore({ directory })
  let fill = 0
  for (const name of ['one', 'two', 'three']) await store.add(new Uint8Array(100_000).fill((fill += 1)), { name })
  await store.close()
  return { directory, index: await indexBytes(directory), files: (await dataFiles(directory)).toSorted() }
}

export async function indexBytes(directory: string): Promise<Uint8Array<ArrayBuffer>> {
  const handle = await openDirectory(directory, false)
  const [generation = 0] = await indexGenerations(handle)
  return new Uint8Array(await (await (await handle.getFileHandle(indexName(generation))).getFile()).arrayBuffer())
}

export async function writeIndex(directory: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const handle = await openDirectory(directory, false)
  const [generation = 0] = await indexGenerations(handle)
  const writable = await (await handle.getFileHandle(indexName(generation))).createWritable()
  await writable.write(bytes)
  await writable.close()
}

export interface Opened {
  store: OpfsStore
  vault: Vault
  medium: Medium
  directory: string
  leavesRead: number
}

/** One worker for all: to start one takes longer than most tests. */
const host = startDiskHost()

const opened = new WeakMap<ContentStore, Opened>()

function openedOf(store: ContentStore): Opened {
  const found = opened.get(store)
  if (!found) throw new Error('not opened here')
  return found
}

/** A store in a directory of its own, with what is behind it. */
export async function openForTest(
  directory = `test-${crypto.randomUUID()}`,
  wrap: (medium: Medium) => Medium = (medium) => medium,
  policy: Omit<OpfsStoreParts, 'readOnly' | 'chosen'> = {},
  openMedium: (directory: string) => Promise<Medium> = (of) => host.open(of),
): Promise<Opened> {
  const medium = wrap(await openMedium(directory))
  const vault = await openVault({ name: 'opfs', medium, readOnly: false })
  const block = vault.block.bind(vault)
  vault.block = (cid) => {
    if (cid.code === RAW) all.leavesRead += 1
    return block(cid)
  }
  const store = createOpfsStore(vault, {
    ...policy,
    chosen: { medium: 'opfs', reason: 'it was asked for' },
    readOnly: false,
  })
  onTestFinished(() => store.close())
  const all: Opened = { store, vault, medium, directory, leavesRead: 0 }
  opened.set(store, all)
  return all
}

/** Changes a byte of a data file, as another script of the origin could. */
type ChangeByte = (opened: Opened, container: Container, at: number, cid: CID) => Promise<void>

const changeInFile: ChangeByte = async ({ directory }, { id }, at) => {
  const data = await openDirectory(`${directory}/${DATA}`, false)
  const handle = await data.getFileHandle(id)
  const [byte = 0] = new Uint8Array(await (await handle.getFile()).slice(at, at + 1).arrayBuffer())
  const writable = await handle.createWritable({ keepExistingData: true })
  await writable.write({ type: 'write', position: at, data: Uint8Array.of(byte ^ 1) })
  await writable.close()
}

/** Changes a byte in the middle of a block, wherever it is. */
export async function corrupt(store: ContentStore, cid: CID, change: ChangeByte = changeInFile): Promise<void> {
  const all = openedOf(store)
  for (const location of all.vault.catalogue.blocks.get(blockKey(cid))?.locations ?? []) {
    if ('node' in location) {
      location.node[0] = (location.node[0] ?? 0) ^ 1
      continue
    }
    const place = 'leaf' in location ? location.container.outboard.leaf(location.leaf) : location
    await change(all, location.container, place.offset + (place.length >> 1), cid)
  }
}

const dead = async (): Promise<never> => {
  throw new Error('the worker is gone')
}

export interface OpfsSetup extends ContentStoreSetup {
  open: () => Promise<OpfsStore>
  openBroken: () => Promise<OpfsStore>
  corrupt: (store: ContentStore, cid: CID) => Promise<void>
  leavesRead: (store: ContentStore) => number
}

export const contentStoreOn = (
  openMedium: ((directory: string) => Promise<Medium>) | undefined,
  change: ChangeByte,
): OpfsSetup => ({
  open: async () => (await openForTest(undefined, undefined, undefined, openMedium)).store,
  // After a write that can neither be made nor taken back.
  async openBroken() {
    let isDead = false
    const wrap = (medium: Medium): Medium => ({
      ...medium,
      appendIndex: (bytes, at) => (isDead ? dead() : medium.appendIndex(bytes, at)),
      truncateIndex: (byteLength) => (isDead ? dead() : medium.truncateIndex(byteLength)),
      list: () => (isDead ? dead() : medium.list()),
    })
    const { store } = await openForTest(undefined, wrap, undefined, openMedium)
    isDead = true
    await store.add(Uint8Array.of(1)).catch(() => undefined)
    return store
  },
  corrupt: (store, cid) => corrupt(store, cid, change),
  leavesRead: (store) => openedOf(store).leavesRead,
  writerSeeds: [1],
  writerSteps: 12,
})

export const opfsContentStore: OpfsSetup = contentStoreOn(undefined, changeInFile)
