import { createHash } from 'node:crypto'

import { lfsPointer } from '@x/cid'
import { NotFoundError, openMemoryStore, type ContentStore } from '@x/storage-core'
import { onTestFinished } from 'vitest'

import { gitBlobOid } from '../src/git-object.ts'
import { createHubHandler } from '../src/hub-handler.ts'
import type { HubHandlerOptions } from '../src/hub-options.ts'
import type { HubFile, HubReadOptions, HubRef, HubRepositories, HubSnapshot } from '../src/hub-repositories.ts'
import { isLfs } from '../src/is-lfs.ts'

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

export const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest()

/** Bytes that look like no text, the same each time. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = seed
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[index] = state >>> 24
  }
  return bytes
}

export interface TestRepository {
  files: Readonly<Record<string, Uint8Array>>
  /** Names beside `main`, as git has them. */
  refs?: Readonly<Record<string, 'main' | Readonly<Record<string, Uint8Array>>>>
  omitted?: readonly string[]
  lastModified?: Date
  task?: string
}

/** A read that has begun. */
export interface TestRead {
  path: string
  offset: number | undefined
  length: number | undefined
}

/** Repositories whose files are in a content store; each read is checked by it, and noted in `reads`. */
export async function storedRepositories(
  store: ContentStore,
  repositories: Readonly<Record<string, TestRepository>>,
): Promise<HubRepositories & { commitOf(repo: string): string; reads: TestRead[] }> {
  const reads: TestRead[] = []
  const held = new Map<string, { snapshots: Map<string, HubSnapshot>; refs: HubRef[] }>()
  for (const [repo, { files, refs = {}, ...facts }] of Object.entries(repositories)) {
    const main = await storeSnapshot(store, repo, { files, ...facts }, reads)
    const snapshots = new Map([['main', main]])
    snapshots.set(main.commit, main)
    const known: HubRef[] = [{ name: 'refs/heads/main', commit: main.commit }]
    for (const [name, content] of Object.entries(refs)) {
      const snapshot = content === 'main' ? main : await storeSnapshot(store, repo, { files: content, ...facts }, reads)
      known.push({ name, commit: snapshot.commit })
      snapshots.set(snapshot.commit, snapshot)
      snapshots.set(name.replace(/^refs\/(?:heads|tags)\//, ''), snapshot)
    }
    held.set(repo, { snapshots, refs: known })
  }
  return {
    reads,
    commitOf: (repo) => held.get(repo)?.snapshots.get('main')?.commit ?? '',
    async open(repo, revision) {
      const found = held.get(repo)
      if (!found) return undefined
      const snapshot = found.snapshots.get(revision)
      if (!snapshot) throw new NotFoundError(revision)
      return snapshot
    },
    refs: async (repo) => held.get(repo)?.refs,
    async *list() {
      yield* held.keys()
    },
  }
}

async function storeSnapshot(
  store: ContentStore,
  repo: string,
  { files: contents, ...facts }: Omit<TestRepository, 'refs'>,
  reads: TestRead[],
): Promise<HubSnapshot> {
  const files: HubFile[] = []
  const roots = new Map<string, Awaited<ReturnType<ContentStore['add']>>['cid']>()
  for (const [path, bytes] of Object.entries(contents)) {
    roots.set(path, (await store.add(bytes)).cid)
    files.push(await describeFile(path, bytes))
  }
  const commit = createHash('sha1')
    .update(JSON.stringify(files.map(({ path, gitOid }) => [path, gitOid])))
    .digest('hex')
  async function* read(path: string, options: HubReadOptions = {}): AsyncGenerator<Uint8Array> {
    reads.push({ path, offset: options.offset, length: options.length })
    const root = roots.get(path)
    if (!root) throw new NotFoundError(path)
    yield* store.cat(root, options)
  }
  return { repo, commit, files, ...facts, read }
}

export async function describeFile(path: string, bytes: Uint8Array): Promise<HubFile> {
  const size = bytes.length
  const lfs = isLfs(path, size)
  const digest = sha256(bytes)
  return {
    path,
    size,
    lfs,
    sha256: digest,
    gitOid: await gitBlobOid(lfs ? utf8(lfsPointer({ sha256: digest, size })) : bytes),
  }
}

export type Ask = (path: string, headers?: Record<string, string>, init?: RequestInit) => Promise<Response>

export const asker =
  (handler: (request: Request) => Promise<Response>): Ask =>
  (path, headers = {}, init = {}) =>
    handler(new Request(`http://hub.example${path}`, { headers, ...init }))

/** A hub over a memory store of its own. */
export async function openHub(
  repositories: Readonly<Record<string, TestRepository>>,
  options: HubHandlerOptions = {},
): Promise<{ ask: Ask; commitOf: (repo: string) => string; reads: TestRead[] }> {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const stored = await storedRepositories(store, repositories)
  const { reads } = stored
  return { ask: asker(createHubHandler(stored, options)), commitOf: (repo) => stored.commitOf(repo), reads }
}

export const bytesOf = async (response: Response): Promise<Uint8Array> => new Uint8Array(await response.arrayBuffer())

/** Status and what clients make their errors of. */
export const errorOf = async (response: Response): Promise<(string | number | null)[]> => {
  await response.arrayBuffer()
  return [response.status, response.headers.get('x-error-code'), response.headers.get('x-repo-commit')]
}

export const small: TestRepository = {
  files: {
    'config.json': utf8('{"model_type":"bert"}'),
    'empty.txt': new Uint8Array(),
    'onnx/model.onnx': noise(300_000),
    'onnx/deep/er/ünï cødé #1?.txt': utf8('hello'),
    'onnx.md': utf8('# not in the folder'),
    'README.md': utf8('# small'),
  },
  refs: {
    'refs/tags/v1.0': 'main',
    'refs/heads/feature/a': { 'config.json': utf8('{}') },
    'refs/pr/1': { 'config.json': utf8('{"pr":1}') },
    'refs/convert/onnx': { 'config.json': utf8('{"convert":1}') },
  },
}
