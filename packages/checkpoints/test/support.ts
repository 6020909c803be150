import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openFsStore } from '@x/backend-fs'
import { openMemoryStore, type ContentStore, type DirectorySource, type SourceNode } from '@x/storage-core'
import { onTestFinished } from 'vitest'

export type Files = Readonly<Record<string, Uint8Array>>

export const text = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value)

export interface Given {
  dtype: string
  shape: readonly number[]
  bytes: Uint8Array
}

/** A safetensors file of these tensors, one behind the other. `pad` blanks behind the header move all of them. */
export function safetensors(tensors: Readonly<Record<string, Given>>, pad = 0): Uint8Array<ArrayBuffer> {
  let end = 0
  const header = Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, bytes }]) => {
      const start = end
      end += bytes.length
      return [name, { dtype, shape, data_offsets: [start, end] }]
    }),
  )
  return withHeader(`${JSON.stringify(header)}${' '.repeat(pad)}`, ...Object.values(tensors).map(({ bytes }) => bytes))
}

/** A file with this header, whatever it says. */
export function withHeader(header: string, ...data: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const head = text(header)
  const file = new Uint8Array(8 + head.length + data.reduce((sum, { length }) => sum + length, 0))
  new DataView(file.buffer).setBigUint64(0, BigInt(head.length), true)
  file.set(head, 8)
  let at = 8 + head.length
  for (const bytes of data) {
    file.set(bytes, at)
    at += bytes.length
  }
  return file
}

/** Bytes that are nowhere else. */
export function varied(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  let state = seed * 2_654_435_761
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    bytes[index] = state >>> 24
  }
  return bytes
}

export const u8 = (bytes: Uint8Array): Given => ({ dtype: 'U8', shape: [bytes.length], bytes })

export const index = (files: Readonly<Record<string, string>>): Uint8Array =>
  text(JSON.stringify({ metadata: { total_size: 1 }, weight_map: files }))

/** Files as a directory. */
export function filesSource(files: Files): DirectorySource {
  const children = new Map<string, Record<string, Uint8Array>>()
  const entries: [string, SourceNode][] = []
  for (const [path, bytes] of Object.entries(files)) {
    const [name = '', ...rest] = path.split('/')
    if (rest.length === 0) entries.push([name, { type: 'file', size: bytes.length, open: () => once(bytes) }])
    else children.set(name, { ...children.get(name), [rest.join('/')]: bytes })
  }
  for (const [name, below] of children) entries.push([name, filesSource(below)])
  return { type: 'directory', entries: () => entries }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

export async function tempDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'checkpoints-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function closing(opening: Promise<ContentStore>): Promise<ContentStore> {
  const store = await opening
  onTestFinished(() => store.close())
  return store
}

export const openMemory = (): Promise<ContentStore> => closing(openMemoryStore())

export const stores: readonly (readonly [name: string, open: () => Promise<ContentStore>])[] = [
  ['fs', async () => closing(openFsStore({ directory: join(await tempDirectory(), 'store') }))],
  ['memory', openMemory],
]

export interface Read {
  path: string
  offset: number
  length: number | undefined
}

/** A store whose reads are written down. `onPiece` hears of the bytes of each piece, before it is given. */
export function watched(
  store: ContentStore,
  onPiece: (bytes: number) => void = () => undefined,
): { store: ContentStore; reads: Read[] } {
  const reads: Read[] = []
  return {
    reads,
    store: {
      ...store,
      async *cat(root, options = {}) {
        reads.push({ path: options.path ?? '', offset: options.offset ?? 0, length: options.length })
        for await (const piece of store.cat(root, options)) {
          onPiece(piece.length)
          yield piece
        }
      },
    },
  }
}

/** Enough for all that waits for nothing from outside to be done. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

export const bytesOf = ({ data }: { data: ArrayBufferView }): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
