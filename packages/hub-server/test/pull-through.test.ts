import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import * as hub from '@huggingface/hub'
import { openFsStore } from '@x/backend-fs'
import type { CID } from '@x/cid'
import {
  BackendError,
  IntegrityError,
  NotFoundError,
  openMemoryStore,
  type ContentStore,
  type NameRecord,
} from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { serveHandler, type ServedHandler } from '../../../tooling/serve-handler.ts'
import { expectArrival } from '../../../tooling/stand-still.ts'
import { createHubHandler } from '../src/hub-handler.ts'
import type { HubUpstream } from '../src/hub-upstream.ts'
import {
  createPullThrough,
  type PullThrough,
  type PullThroughEvent,
  type PullThroughOptions,
} from '../src/pull-through.ts'
import { createStoreKeep } from '../src/store-keep.ts'
import { fetchUpstream } from './fetch-upstream.ts'
import { asker, bytesOf, errorOf, noise, small, storedRepositories, utf8, type Ask } from './support.ts'

const MODEL = noise(300_000)
const MODEL_URL = '/org/small/resolve/main/onnx/model.onnx'

interface Setup {
  origin: ServedHandler
  store: ContentStore
  ask: Ask
  events: PullThroughEvent[]
  clock: { now: number }
  pullThrough: PullThrough
  commit: string
}

async function openMemory(): Promise<ContentStore> {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  return store
}

async function setUp({
  store,
  around = (upstream) => upstream,
  ...options
}: {
  store?: ContentStore
  around?: (upstream: HubUpstream) => HubUpstream
} & Partial<PullThroughOptions> = {}): Promise<Setup> {
  const repositories = await storedRepositories(await openMemory(), { 'org/small': small })
  const origin = await serveHandler(createHubHandler(repositories, { pageSize: 3 }))
  const kept = store ?? (await openMemory())
  const events: PullThroughEvent[] = []
  const clock = { now: 1_000_000 }
  const pullThrough = createPullThrough({
    upstream: around(fetchUpstream(origin.url)),
    keep: createStoreKeep(kept),
    onEvent: (event) => events.push(event),
    now: () => clock.now,
    ...options,
  })
  onTestFinished(() => pullThrough.close())
  const ask = asker(createHubHandler(pullThrough))
  return { origin, store: kept, ask, events, clock, pullThrough, commit: repositories.commitOf('org/small') }
}

it('fetches, verifies, keeps and pins a file when it is first asked for, and answers alone from then on', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'hub-server-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const store = await openFsStore({ directory })
  onTestFinished(() => store.close())
  const { ask, events, origin, commit } = await setUp({ store })

  const head = await ask(MODEL_URL, {}, { method: 'HEAD' })
  expect([head.status, head.headers.get('x-repo-commit')]).toEqual([200, commit])
  expect(origin.requests.filter((line) => line.includes('/resolve/'))).toEqual([])
  const part = await ask(MODEL_URL, { range: 'bytes=10-19' })
  expect([part.status, await bytesOf(part)]).toEqual([206, MODEL.subarray(10, 20)])
  expect(events.map(({ type }) => type)).toEqual(['revision-resolved', 'listing-kept', 'file-kept'])
  const pinned: string[] = []
  for await (const { names, pinned: isPinned } of store.roots()) if (isPinned) pinned.push(...names)
  expect(pinned).toEqual([expect.stringMatching(/^hub\/files\/sha256\/[0-9a-f]{64}$/)])
  expect(await (await ask('/org/small/resolve/main/config.json')).json()).toEqual({ model_type: 'bert' })
  const asked = origin.requests.length

  await origin.close()
  expect(Buffer.compare(await bytesOf(await ask(MODEL_URL)), MODEL)).toBe(0)
  expect(await errorOf(await ask('/org/small/resolve/main/README.md'))).toEqual([504, null, null])
  expect(origin.requests.length).toBe(asked)
  expect(await (await ask('/api/models')).json()).toMatchObject([{ id: 'org/small' }])
  await store.gc()

  const again = createPullThrough({
    upstream: fetchUpstream(origin.url),
    keep: createStoreKeep(store),
    now: () => 1_000_000,
  })
  onTestFinished(() => again.close())
  const later = asker(createHubHandler(again))
  expect(Buffer.compare(await bytesOf(await later(MODEL_URL)), MODEL)).toBe(0)
})

it('asks the upstream once, however many ask at once', async () => {
  const { ask, origin } = await setUp()
  const answers = await Promise.all(Array.from({ length: 8 }, async () => bytesOf(await ask(MODEL_URL))))
  expect(answers.every((bytes) => Buffer.compare(bytes, MODEL) === 0)).toBe(true)
  expect(origin.requests.map((line) => line.replace(/[0-9a-f]{40}/, 'COMMIT').replace(/cursor=.*/, 'cursor'))).toEqual([
    'GET /api/models/org/small/revision/main?expand=sha',
    'GET /api/models/org/small/tree/COMMIT?recursive=true',
    'GET /api/models/org/small/tree/COMMIT?recursive=true&cursor',
    'GET /api/models/org/small/tree/COMMIT?recursive=true&cursor',
    'GET /org/small/resolve/COMMIT/onnx%2Fmodel.onnx [bytes=0-299999]',
  ])
})

it('goes on with a fetch when its reader goes away', async () => {
  const begun = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const { ask, origin } = await setUp({
    around: (upstream) => ({
      ...upstream,
      async *read(...given) {
        begun.resolve()
        await goOn.promise
        yield* upstream.read(...given)
      },
    }),
  })
  const gone = new AbortController()
  const first = ask(MODEL_URL, {}, { signal: gone.signal })
  await begun.promise
  gone.abort(new Error('gone'))
  await expect(first).rejects.toThrow('gone')
  const second = ask(MODEL_URL)
  goOn.resolve()
  expect(Buffer.compare(await bytesOf(await second), MODEL)).toBe(0)
  expect(origin.requests.filter((line) => line.includes('/resolve/'))).toHaveLength(1)
})

it('looks a branch up again after a time, takes what it was when it cannot, and says so', async () => {
  const { ask, origin, clock, events, commit, store } = await setUp({ revalidateMs: 1000 })
  await bytesOf(await ask('/org/small/resolve/main/config.json'))
  const lookUps = (): number => origin.requests.filter((line) => line.includes('/revision/')).length
  clock.now += 999
  await ask(MODEL_URL, {}, { method: 'HEAD' })
  expect(lookUps()).toBe(1)
  clock.now += 1
  await ask(MODEL_URL, {}, { method: 'HEAD' })
  expect(lookUps()).toBe(2)

  await origin.close()
  clock.now += 1000
  const stale = await ask('/org/small/resolve/main/config.json')
  expect(await stale.json()).toEqual({ model_type: 'bert' })
  const since = new Date(clock.now - 1000).toISOString()
  expect(stale.headers.get('x-hf-warning')).toBe(
    `stale-revision; main could not be looked up now; it was ${commit} at ${since}`,
  )
  expect(events.at(-1)).toMatchObject({ type: 'revision-stale', revision: 'main', commit })
  const byCommit = await ask(`/org/small/resolve/${commit}/config.json`)
  expect([byCommit.status, byCommit.headers.has('x-hf-warning')]).toEqual([200, false])
  await byCommit.arrayBuffer()

  const strict = createPullThrough({
    upstream: fetchUpstream(origin.url),
    keep: createStoreKeep(store),
    freshness: 'require',
    revalidateMs: 1000,
    now: () => clock.now,
  })
  onTestFinished(() => strict.close())
  const refused = await asker(createHubHandler(strict))('/org/small/resolve/main/config.json')
  expect([...(await errorOf(refused)), refused.headers.get('retry-after')]).toEqual([504, null, null, '5'])
})

it('does not take a store that cannot be written for an upstream that cannot tell', async () => {
  const failure = new BackendError('the disk is read-only', { retryable: false })
  let isReadOnly = false
  const keep = createStoreKeep(await openMemory())
  let head: string | undefined
  const { ask, clock, events } = await setUp({
    revalidateMs: 1000,
    keep: {
      ...keep,
      async setRevision(...given) {
        if (isReadOnly) throw failure
        await keep.setRevision(...given)
      },
    },
    around: (upstream) => ({ ...upstream, resolve: async (...given) => head ?? upstream.resolve(...given) }),
  })
  await bytesOf(await ask(MODEL_URL))
  isReadOnly = true
  head = 'b'.repeat(40)
  clock.now += 1000
  const refused = await ask(MODEL_URL)
  expect([...(await errorOf(refused)), refused.headers.has('x-hf-warning')]).toEqual([500, null, null, false])
  expect(events.map(({ type }) => type)).not.toContain('revision-stale')
})

it('does not wait for an upstream that says nothing where it knows what was, nor asks it each time', async () => {
  let asked = 0
  let isSilent = false
  let known: string | undefined
  const { ask, clock, events } = await setUp({
    revalidateMs: 1000,
    lookUpTimeoutMs: 20,
    around: (upstream) => ({
      ...upstream,
      async resolve(repo, revision, given) {
        asked += 1
        if (!isSilent) return (known ??= await upstream.resolve(repo, revision, given))
        return new Promise((_resolve, reject) => {
          given.signal?.addEventListener('abort', () => reject(given.signal?.reason))
        })
      },
    }),
  })
  const url = '/org/small/resolve/main/config.json'
  await bytesOf(await ask(url))
  isSilent = true
  clock.now += 1000
  for (const _ of [1, 2, 3]) {
    const stale = await ask(url)
    expect([stale.status, stale.headers.has('x-hf-warning')]).toEqual([200, true])
    await stale.arrayBuffer()
  }
  expect([asked, events.filter(({ type }) => type === 'revision-stale')]).toEqual([
    2,
    [expect.objectContaining({ reason: expect.objectContaining({ code: 'BACKEND' }) })],
  ])
  isSilent = false
  clock.now += 1000
  expect((await ask(url, {}, { method: 'HEAD' })).headers.has('x-hf-warning')).toBe(false)
})

it('an upstream that told while this process stood still has told in time', async () => {
  const { standStill, heard } = await expectArrival()
  const lookUpTimeoutMs = 200
  let known: string | undefined
  const { ask, clock } = await setUp({
    revalidateMs: 1000,
    lookUpTimeoutMs,
    around: (upstream) => ({
      ...upstream,
      async resolve(repo, revision, given) {
        if (known === undefined) return (known = await upstream.resolve(repo, revision, given))
        standStill(2 * lookUpTimeoutMs)
        await heard
        given.signal?.throwIfAborted()
        return known
      },
    }),
  })
  const url = '/org/small/resolve/main/config.json'
  await bytesOf(await ask(url))
  clock.now += 1000
  const again = await ask(url)
  expect([again.status, again.headers.has('x-hf-warning')]).toEqual([200, false])
  await again.arrayBuffer()
})

it('gives a file up that brings nothing, and asks for the rest of one that brought something', async () => {
  const offsets: (number | undefined)[] = []
  const { ask } = await setUp({
    stallTimeoutMs: 50,
    around: (upstream) => ({
      ...upstream,
      async *read(_repo, _commit, path, { offset = 0, signal }) {
        offsets.push(offset)
        if (path === 'onnx/model.onnx' && offset < 3000) yield MODEL.subarray(offset, offset + 1000)
        await new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason))
        })
      },
    }),
  })
  expect((await ask('/org/small/resolve/main/config.json')).status).toBe(504)
  expect((await ask(MODEL_URL)).status).toBe(504)
  expect(offsets).toEqual([0, 0, 1000, 2000, 3000])
})

it('stops what it fetches when it is closed, and what waits for its turn', async () => {
  const begun = Promise.withResolvers<void>()
  const { ask, pullThrough } = await setUp({
    maxFetches: 1,
    around: (upstream) => ({
      ...upstream,
      // eslint-disable-next-line require-yield
      async *read(_repo, _commit, _path, { signal }) {
        begun.resolve()
        await new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason))
        })
      },
    }),
  })
  const asked = [ask(MODEL_URL), ask('/org/small/resolve/main/config.json')]
  await begun.promise
  await pullThrough.close()
  const answers = await Promise.all(asked)
  expect(answers.map(({ status }) => status)).toEqual([500, 500])
  expect((await ask(MODEL_URL)).status).toBe(500)
})

it('knows no repository that is not allowed', async () => {
  const { ask, origin } = await setUp({ allow: (repo) => repo === 'org/other' })
  expect(await errorOf(await ask('/org/small/resolve/main/a'))).toEqual([401, 'RepoNotFound', null])
  expect(await errorOf(await ask('/org/other/resolve/main/a'))).toEqual([401, 'RepoNotFound', null])
  expect(origin.requests).toHaveLength(1)
})

it('believes that a branch is gone', async () => {
  let isGone = false
  const { ask, clock } = await setUp({
    revalidateMs: 1000,
    around: (upstream) => ({
      ...upstream,
      async resolve(repo, revision, given) {
        if (isGone) throw new NotFoundError(revision)
        return upstream.resolve(repo, revision, given)
      },
    }),
  })
  const url = '/org/small/resolve/main/config.json'
  await bytesOf(await ask(url))
  isGone = true
  clock.now += 1000
  expect(await errorOf(await ask(url))).toEqual([404, 'RevisionNotFound', null])
})

it('passes on what the upstream says is not there', async () => {
  const { ask } = await setUp()
  expect(await errorOf(await ask('/org/none/resolve/main/a'))).toEqual([401, 'RepoNotFound', null])
  expect(await errorOf(await ask('/org/small/resolve/v9/a'))).toEqual([404, 'RevisionNotFound', null])
  expect((await errorOf(await ask('/org/small/resolve/main/none')))[1]).toBe('EntryNotFound')
  expect((await errorOf(await ask(`/org/small/resolve/${'0'.repeat(40)}/a`)))[1]).toBe('RevisionNotFound')
})

async function recordsOf(store: ContentStore, kind: 'revisions' | 'listings'): Promise<NameRecord[]> {
  const records: NameRecord[] = []
  for await (const record of store.names.list({ prefix: `hub/${kind}/` })) records.push(record)
  expect(records).toHaveLength(1)
  return records
}

/** What another process would answer. */
function openAgain({ origin }: Setup, store: ContentStore): Ask {
  const upstream = fetchUpstream(origin.url)
  const pullThrough = createPullThrough({ upstream, keep: createStoreKeep(store), now: () => 1_000_000 })
  onTestFinished(() => pullThrough.close())
  return asker(createHubHandler(pullThrough))
}

it.each<[string, (store: ContentStore, record: NameRecord) => Promise<unknown>]>([
  ['has lost its bytes', (store, { cid }) => store.blocks.delete(cid)],
  ['is no JSON', (store, { name }) => store.add(utf8('{'), { name })],
  ['is no object', (store, { name }) => store.add(utf8('null'), { name })],
  ['says nothing', (store, { name }) => store.add(utf8('{}'), { name })],
  [
    'says what cannot be',
    (store, { name }) =>
      store.add(utf8('{"commit":"main","checkedAt":"soon","lastModified":"soon","files":[]}'), { name }),
  ],
])('asks the upstream again for a record that %s', async (_what, damage) => {
  for (const kind of ['revisions', 'listings'] as const) {
    const setup = await setUp()
    const { ask, origin, store } = setup
    await bytesOf(await ask(MODEL_URL))
    for (const record of await recordsOf(store, kind)) await damage(store, record)
    expect(Buffer.compare(await bytesOf(await openAgain(setup, store)(MODEL_URL)), MODEL)).toBe(0)
    // It is kept again.
    await origin.close()
    expect(Buffer.compare(await bytesOf(await openAgain(setup, store)(MODEL_URL)), MODEL)).toBe(0)
  }
})

it.each([
  ['has other bytes', (cid: CID) => new IntegrityError('x', { cid }), 200],
  ['cannot be read', () => new BackendError('x', { retryable: false }), 500],
])('tells a record that %s from one that is not there', async (_what, failure, status) => {
  for (const kind of ['revisions', 'listings'] as const) {
    const setup = await setUp()
    const { ask, store } = setup
    await bytesOf(await ask(MODEL_URL))
    const [record] = await recordsOf(store, kind)
    const broken: ContentStore = {
      ...store,
      cat(root, options) {
        if (record?.cid.equals(root)) throw failure(root)
        return store.cat(root, options)
      },
    }
    expect((await openAgain(setup, broken)(MODEL_URL)).status).toBe(status)
  }
})

it.each([
  ['a flipped bit', (bytes: Uint8Array) => bytes.map((byte, index) => (index === 7 ? byte ^ 1 : byte))],
  ['more bytes', (bytes: Uint8Array) => Uint8Array.of(...bytes, 1)],
])('keeps and hands on nothing of a file with %s', async (_what, damage) => {
  let isDamaged = true
  const { ask, store } = await setUp({
    around: (upstream) => ({
      ...upstream,
      async *read(...given) {
        for await (const piece of upstream.read(...given)) yield isDamaged ? damage(piece) : piece
      },
    }),
  })
  for (const url of [MODEL_URL, '/org/small/resolve/main/config.json']) {
    const refused = await ask(url)
    expect(await errorOf(refused)).toEqual([500, null, null])
  }
  const names: string[] = []
  for await (const { name } of store.names.list({ prefix: 'hub/files/' })) names.push(name)
  expect(names).toEqual([])
  isDamaged = false
  expect((await bytesOf(await ask(MODEL_URL))).length).toBe(MODEL.length)
})

it('asks for the rest of what broke off', async () => {
  let times = 0
  const offsets: (number | undefined)[] = []
  const { ask } = await setUp({
    around: (upstream) => ({
      ...upstream,
      async *read(repo, commit, path, given) {
        offsets.push(given.offset)
        times += 1
        if (times > 2) {
          yield* upstream.read(repo, commit, path, given)
          return
        }
        yield* upstream.read(repo, commit, path, { ...given, length: 1000 })
        throw new BackendError('it broke off', { retryable: true })
      },
    }),
  })
  expect(Buffer.compare(await bytesOf(await ask(MODEL_URL)), MODEL)).toBe(0)
  expect(offsets).toEqual([0, 1000, 2000])
})

it.each([
  ['climbs out', [{ path: '../../etc/passwd', size: 1, lfs: false, gitOid: '0'.repeat(40) }]],
  ['is absolute', [{ path: '/etc/passwd', size: 1, lfs: false, gitOid: '0'.repeat(40) }]],
  ['is there twice', ['a', 'a'].map((path) => ({ path, size: 1, lfs: false, gitOid: '0'.repeat(40) }))],
  ['is a file and a folder', ['a', 'a/b'].map((path) => ({ path, size: 1, lfs: false, gitOid: '0'.repeat(40) }))],
  ['has a digest that is none', [{ path: 'a', size: 1, lfs: true, gitOid: '0'.repeat(40), sha256: utf8('x') }]],
  ['has a size that is none', [{ path: 'a', size: -1, lfs: false, gitOid: '0'.repeat(40) }]],
])('refuses a listing in which a path %s', async (_what, files) => {
  const { ask, events } = await setUp({ around: (upstream) => ({ ...upstream, list: async () => ({ files }) }) })
  expect(await errorOf(await ask('/org/small/resolve/main/a'))).toEqual([500, null, null])
  expect(events.map(({ type }) => type)).toEqual(['revision-resolved'])
})

it('lists each repository once, also one that is called like a namespace', async () => {
  const keep = createStoreKeep(await openMemory())
  // As names go, the commits of `gpt2` are around `gpt2/b`.
  const kept = [
    ['gpt2', '0'],
    ['gpt2/b', '1'],
    ['gpt2/b', '2'],
    ['gpt2', 'c'],
    ['gpt2-large', '3'],
    ['org/a', '4'],
    ['org/a', 'f'],
    ['org', '0'],
    ['org', 'b'],
  ] as const
  for (const [repo, digit] of kept) await keep.setListing(repo, digit.repeat(40), { files: [] }, {})
  const repos: string[] = []
  for await (const repo of keep.list?.({}) ?? []) repos.push(repo)
  expect(repos.toSorted()).toEqual(['gpt2', 'gpt2-large', 'gpt2/b', 'org', 'org/a'])
})

it('serves clients over HTTP', async () => {
  const { pullThrough } = await setUp()
  const { url: hubUrl } = await serveHandler(createHubHandler(pullThrough))
  const file = await hub.downloadFile({ repo: 'org/small', path: 'onnx/model.onnx', hubUrl })
  expect((await file?.arrayBuffer())?.byteLength).toBe(MODEL.length)
})
