import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'

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

/** Longest that a test waits for something to become so, that it may fail with a reason and not by its own end. Milliseconds. */
const UNTIL_MS = 120_000

/**
 * Resolves when it is so; asked at every turn of the loop.
 *
 * @param found - What there is instead, for the error.
 */
export async function until(isSo: () => boolean, found: () => unknown = () => isSo.toString()): Promise<void> {
  const deadlineMs = Date.now() + UNTIL_MS
  while (!isSo()) {
    if (Date.now() > deadlineMs) throw new Error(`it did not become so: ${JSON.stringify(found())}`)
    await new Promise(setImmediate)
  }
}

/** What a promise gives, or an error that says what there is instead. */
export async function soon<T>(promise: Promise<T>, found: () => unknown): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`it did not end: ${JSON.stringify(found())}`)), UNTIL_MS)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Lets a thread of an engine fail, between two turns of its loop. `terminate` would end the process too where it is inside ONNX
 * Runtime just then.
 */
export async function crash(worker: Worker | undefined): Promise<void> {
  if (worker === undefined) throw new Error('there is no thread')
  const ended = new Promise((resolve) => worker.once('exit', resolve))
  worker.postMessage(null, [])
  await soon(ended, () => `thread ${worker.threadId} goes on`)
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
