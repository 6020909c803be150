import { createCipheriv, createHash } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { toSourceNode, type DirectorySource, type SourceNode } from '@x/storage-core'
import { onTestFinished } from 'vitest'

import { startChild as startFile, type Child } from '../../../tooling/start-child.ts'
import { openFsStore, type FsStore, type FsStoreOptions } from '../src/index.ts'

/** A directory that goes with the test. */
export async function tempDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'backend-fs-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

export async function openTemp(options: Partial<FsStoreOptions> = {}): Promise<{ store: FsStore; directory: string }> {
  const directory = options.directory ?? join(await tempDirectory(), 'store')
  const store = await openFsStore({ ...options, directory })
  onTestFinished(() => store.close())
  return { store, directory }
}

/** Runs `children/<name>.ts` in a process of its own. */
export const startChild = (name: string, ...args: string[]): Child =>
  startFile(new URL(`children/${name}.ts`, import.meta.url), ...args)

/** The same bytes for the same seed, different in every leaf. */
export function someBytes(length: number, seed = 'bytes'): Uint8Array {
  const key = createHash('sha256').update(seed).digest()
  return new Uint8Array(createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(new Uint8Array(length)))
}

/** Quicker than comparing them as objects. */
export const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

export const bytesOf = async (pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> =>
  new Uint8Array(Buffer.concat(await collect(pieces)))

/** Paths of all files below a directory. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
}

export function directoryOf(files: Record<string, Uint8Array>): DirectorySource {
  const entries = Object.entries(files).map(([name, bytes]): [string, SourceNode] => [name, toSourceNode(bytes)])
  return { type: 'directory', entries: () => entries }
}

/** As a user who may read nothing: root may read everything. Where the tests are not root's, nothing changes. */
export async function asNobody(work: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return work()
  process.seteuid?.(65534)
  try {
    await work()
  } finally {
    process.seteuid?.(0)
  }
}
