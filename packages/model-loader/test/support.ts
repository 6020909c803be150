import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openFsStore, type FsStore } from '@x/backend-fs'
import { fixtureModel, type Files } from '@x/fixtures'
import {
  openMemoryStore,
  type ContentStore,
  type DirectorySource,
  type PartialStore,
  type SourceNode,
} from '@x/storage-core'
import { onTestFinished } from 'vitest'

export const text = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value)

export const createSha256 = (): ReturnType<typeof createHash> => createHash('sha256')

export const tinyBert = (): Files => fixtureModel('tiny-bert').files

export async function tempDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'model-loader-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function openFs(): Promise<ContentStore> {
  return openFsStore({ directory: join(await tempDirectory(), 'store') })
}

/** One that has paths, and one that has none. */
export const stores: readonly (readonly [name: string, open: () => Promise<ContentStore>])[] = [
  ['fs', () => closing(openFs())],
  ['memory', () => closing(openMemoryStore())],
]

async function closing(opening: Promise<ContentStore>): Promise<ContentStore> {
  const store = await opening
  onTestFinished(() => store.close())
  return store
}

/** A store on disk, with what is being downloaded into it. */
export async function openWithPartials(): Promise<{ store: FsStore; partials: PartialStore }> {
  const store = await openFsStore({ directory: join(await tempDirectory(), 'store') })
  const partials = await store.openPartials()
  onTestFinished(async () => {
    await partials.close()
    await store.close()
  })
  return { store, partials }
}

/** Files in memory as a directory. Reads are counted by path. */
export function filesSource(files: Files, reads: Map<string, number> = new Map(), prefix = ''): DirectorySource {
  const children = new Map<string, Files>()
  const entries: [string, SourceNode][] = []
  for (const [path, bytes] of Object.entries(files)) {
    const [name = '', ...rest] = path.split('/')
    const open = (): AsyncIterable<Uint8Array> => {
      reads.set(prefix + path, (reads.get(prefix + path) ?? 0) + 1)
      return pieces(bytes)
    }
    if (rest.length === 0) entries.push([name, { type: 'file', size: bytes.length, open }])
    else children.set(name, { ...children.get(name), [rest.join('/')]: bytes })
  }
  for (const [name, below] of children) entries.push([name, filesSource(below, reads, `${prefix}${name}/`)])
  return { type: 'directory', entries: () => entries }
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += 1000) yield bytes.subarray(start, start + 1000)
}

/** What a user sees in a store. Loose blocks, which wait for `gc`, are not. */
export async function visible(store: ContentStore): Promise<unknown> {
  const roots = (await collect(store.roots())).map(({ cid, names, pinned }) => ({ cid: `${cid}`, names, pinned }))
  const names = (await collect(store.names.list())).map(({ name, cid }) => ({ name, cid: `${cid}` }))
  return { roots, names }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

/** A safetensors file with one tensor, which is `bytes`. */
export function safetensors(bytes: Uint8Array, dtype = 'U8'): Uint8Array<ArrayBuffer> {
  const header = JSON.stringify({ w: { dtype, shape: [bytes.length], data_offsets: [0, bytes.length] } })
  const file = new Uint8Array(8 + header.length + bytes.length)
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true)
  file.set(text(header), 8)
  file.set(bytes, 8 + header.length)
  return file
}
