import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

import { openFsStore, type FsStore } from '@x/backend-fs'
import { fixtureModel, type Files, type FixtureName } from '@x/fixtures'
import { addModel, openModel, type AddedModel, type OpenedModel } from '@x/model-loader'
import type { ContentStore, DirectorySource, SourceNode } from '@x/storage-core'
import { onTestFinished } from 'vitest'

export const createSha256 = (): ReturnType<typeof createHash> => createHash('sha256')

export async function tempDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'infer-node-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** Files in memory as a directory. */
export function filesSource(files: Files): DirectorySource {
  const children = new Map<string, Files>()
  const entries: [string, SourceNode][] = []
  for (const [path, bytes] of Object.entries(files)) {
    const [name = '', ...rest] = path.split('/')
    if (rest.length === 0) entries.push([name, { type: 'file', size: bytes.length, open: () => pieces(bytes) }])
    else children.set(name, { ...children.get(name), [rest.join('/')]: bytes })
  }
  for (const [name, below] of children) entries.push([name, filesSource(below)])
  return { type: 'directory', entries: () => entries }
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += 1000) yield bytes.subarray(start, start + 1000)
}

export async function openStore(): Promise<{ store: FsStore; directory: string }> {
  const directory = await tempDirectory()
  const store = await openFsStore({ directory })
  onTestFinished(() => store.close())
  return { store, directory }
}

export interface Held {
  store: ContentStore
  directory: string
  added: AddedModel
  open: () => Promise<OpenedModel>
}

/** A fixture model in a store of its own. */
export async function hold(name: FixtureName, change: (files: Files) => void = () => {}): Promise<Held> {
  const { store, directory } = await openStore()
  const { files } = fixtureModel(name)
  change(files)
  const added = await addModel(store, filesSource(files), { createSha256 })
  return { store, directory, added, open: () => openModel(store, `ipfs://${added.cid}`) }
}

/** A real model: all-MiniLM-L6-v2, quantised. */
export const EMBEDDED_MODEL: string = fileURLToPath(new URL('../../embedded-model/model', import.meta.url))

export async function directoryOf(directory: string): Promise<DirectorySource> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files: Files = {}
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name)
    files[relative(directory, path)] = Uint8Array.from(await readFile(path))
  }
  return filesSource(files)
}
