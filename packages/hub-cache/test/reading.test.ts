import { mkdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { openFsStore, type FsStore } from '@x/backend-fs'
import { CID } from '@x/cid'
import { describe, expect, it, onTestFinished } from 'vitest'

import {
  checkSnapshot,
  createCacheFileSource,
  exportToHubCache,
  hubCacheDirectory,
  openHubCache,
  snapshotSource,
  type HubCache,
} from '../src/index.ts'
import { all, bytesOf, filesToExport, model, REPO, tempDirectory, weights } from './support.ts'
import { writeFiles } from './write-files.ts'

const FOLDER = 'models--org--model'
const { commit } = model
const file = (path: string): { bytes: Uint8Array; sha256: string; gitOid: string } => {
  const found = model.files.get(path)
  if (!found) throw new Error(`no ${path}`)
  return found
}

/** A cache with one snapshot, laid out by us, without a listing unless wanted. */
async function openCache({ omitted }: { omitted?: [] } = {}): Promise<{
  directory: string
  cache: HubCache
  repo: string
}> {
  const directory = await tempDirectory()
  await exportToHubCache(await filesToExport(), { directory, repo: REPO, commit, omitted })
  return { directory, cache: await openHubCache({ directory }), repo: join(directory, FOLDER) }
}

/** Overwrites a file in place, as a bad disk would. */
async function flipByte(path: string, at: number): Promise<void> {
  const bytes = await readFile(path)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await rm(path)
  await writeFile(path, bytes)
}

describe('a cache', () => {
  it('must be a directory that is there', async () => {
    const directory = await tempDirectory()
    await expect(openHubCache({ directory: join(directory, 'none') })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await writeFile(join(directory, 'file'), '')
    await expect(openHubCache({ directory: join(directory, 'file') })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('may be empty, or full of other things', async () => {
    const directory = await tempDirectory()
    const cache = await openHubCache({ directory })
    expect(await cache.repos()).toEqual([])
    await writeFiles(directory, {
      'CACHEDIR.TAG': '',
      'models--file': 'a file',
      'datasets--org--data/snapshots/x': '',
      'models--a--b--c/snapshots/x': '',
      'models--..--x/snapshots/x': '',
      'models--org--model/refs/main': commit,
      'models--gpt2/snapshots/x': '',
      '.locks/models--org--model/x.lock': '',
      'blobs/.huggingface-shared-blobs': '1\n',
    })
    expect(await cache.repos()).toEqual(['gpt2', 'org/model'])
    expect(await cache.revisions('gpt2')).toEqual([])
    await expect(cache.snapshot(REPO)).rejects.toMatchObject({ code: 'NOT_FOUND', what: `${REPO}@main` })
    await expect(cache.snapshot(REPO)).rejects.toThrow(commit)
    await expect(cache.revisions('org/none')).rejects.toMatchObject({ code: 'NOT_FOUND', what: 'org/none' })
  })

  it.each(['../x', 'a/b/c', '', 'org/../../x', 'a--b/c'])('refuses the repository %j', async (repo) => {
    const { cache } = await openCache()
    await expect(cache.snapshot(repo)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(cache.revisions(repo)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it.each(['..', '../../x', '/etc/passwd', 'a//b', ''])('refuses the revision %j', async (revision) => {
    const { cache } = await openCache()
    await expect(cache.snapshot(REPO, revision)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('does not follow a name that is a link, or holds no commit', async () => {
    const { cache, repo } = await openCache()
    const elsewhere = await tempDirectory()
    await writeFiles(elsewhere, { commit })
    await writeFiles(repo, {
      'refs/link': { link: join(elsewhere, 'commit') },
      'refs/way': { link: elsewhere },
      'refs/bad': '../../../../etc',
      'refs/lines': `${commit}\n`,
      'refs/main.0123abcd.tmp': commit,
      'refs/long': commit.repeat(100),
    })
    for (const name of ['link', 'way/commit', 'bad', 'long']) {
      await expect(cache.snapshot(REPO, name)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    }
    expect((await cache.snapshot(REPO, 'lines')).commit).toBe(commit)
    expect(await cache.revisions(REPO)).toEqual([{ commit, refs: ['lines', 'main'] }])
  })

  it('takes a short commit that is one', async () => {
    const { cache, repo } = await openCache()
    await mkdir(join(repo, 'snapshots', `${commit.slice(0, 10)}${'0'.repeat(30)}`))
    expect((await cache.snapshot(REPO, commit.slice(0, 11))).commit).toBe(commit)
    await expect(cache.snapshot(REPO, commit.slice(0, 10))).rejects.toThrow('more than one')
    await expect(cache.snapshot(REPO, commit.slice(0, 6))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('whose name points to a snapshot that has gone says which', async () => {
    const { cache, repo } = await openCache()
    await rm(join(repo, 'snapshots', commit), { recursive: true })
    await expect(cache.snapshot(REPO)).rejects.toThrow(commit)
  })

  it.each(['', 'snapshots', 'blobs', 'refs', 'trees'])('is not read where its %j is a link', async (part) => {
    const { cache, repo } = await openCache({ omitted: [] })
    const elsewhere = join(await tempDirectory(), 'elsewhere')
    await rename(join(repo, part), elsewhere)
    await symlink(elsewhere, join(repo, part))
    await expect(cache.snapshot(REPO)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
    await expect(cache.revisions(REPO)).rejects.toMatchObject({ code: 'BACKEND' })
  })

  it('stops with the signal’s own reason', async () => {
    const { cache } = await openCache()
    const reason = new Error('the caller gave up')
    const signal = AbortSignal.abort(reason)
    await expect(cache.repos({ signal })).rejects.toBe(reason)
    await expect(cache.revisions(REPO, { signal })).rejects.toBe(reason)
    await expect(cache.snapshot(REPO, 'main', { signal })).rejects.toBe(reason)
    await expect(checkSnapshot(await cache.snapshot(REPO), { signal })).rejects.toBe(reason)
  })

  it('is where the variables say', () => {
    expect(hubCacheDirectory({}, '/home/u')).toBe('/home/u/.cache/huggingface/hub')
    expect(hubCacheDirectory({ HF_HOME: '~/hf' }, '/home/u')).toBe('/home/u/hf/hub')
    expect(hubCacheDirectory({ HF_HOME: '/x', HF_HUB_CACHE: '/y/' }, '/home/u')).toBe('/y')
  })
})

describe('a snapshot', () => {
  it('leaves out what is not there whole, and says why', async () => {
    const { cache, repo, directory } = await openCache()
    const { sha256 } = file('onnx/model.onnx')
    await writeFiles(directory, { 'models--other--model/blobs/x': 'other', secret: 'secret' })
    await writeFiles(repo, { 'blobs/half.incomplete': 'ha' })
    await writeFiles(join(repo, 'snapshots', commit), {
      dangling: { link: '../../blobs/none' },
      half: { link: '../../blobs/half.incomplete' },
      'to/other': { link: '../../../../models--other--model/blobs/x' },
      'to/secret': { link: '../../../../secret' },
      'to/system': { link: '/etc/hostname' },
      'to/directory': { link: '..' },
      'to/itself': { link: 'itself' },
      'to/absolute': { link: join(repo, 'blobs', sha256) },
      'back\\slash': 'x',
      '.DS_Store': 'x',
    })
    const snapshot = await cache.snapshot(REPO)
    expect(snapshot.problems).toEqual([
      { path: 'back\\slash', why: 'name' },
      { path: 'dangling', why: 'dangling' },
      { path: 'half', why: 'incomplete' },
      { path: 'to/directory', why: 'outside' },
      { path: 'to/itself', why: 'unreadable' },
      { path: 'to/other', why: 'outside' },
      { path: 'to/secret', why: 'outside' },
      { path: 'to/system', why: 'outside' },
    ])
    expect(snapshot.files).toHaveLength(model.files.size + 1)
    expect(snapshot.files.find(({ path }) => path === 'to/absolute')?.sha256).toBeDefined()
  })

  it('without links is read too, by its listing', async () => {
    for (const omitted of [[], undefined] as const) {
      const { cache, repo } = await openCache({ ...(omitted && { omitted: [] }) })
      for (const [path, { bytes }] of model.files) {
        await rm(join(repo, 'snapshots', commit, path))
        await writeFile(join(repo, 'snapshots', commit, path), bytes)
      }
      await rm(join(repo, 'blobs'), { recursive: true })
      const snapshot = await cache.snapshot(REPO)
      const checked = await checkSnapshot(snapshot)
      expect(checked.damaged).toEqual([])
      // Nothing else says what such files are.
      expect([checked.good.length, checked.unknown.length]).toEqual(omitted ? [5, 0] : [0, 5])
    }
  })

  it('with a listing that cannot be used does without', async () => {
    const { cache, repo } = await openCache({ omitted: [] })
    for (const text of ['', '{', '[]', '{"format_version":2,"files":{}}', '{"format_version":1,"files":{"../x":{}}}']) {
      await writeFile(join(repo, 'trees', `${commit}.json`), text)
      const snapshot = await cache.snapshot(REPO)
      expect(snapshot.problems).toEqual([{ path: '', why: 'listing' }])
      expect(snapshot.omitted).toBeUndefined()
      expect((await checkSnapshot(snapshot)).good).toHaveLength(5)
    }
  })

  it('has no file of another size than listed', async () => {
    const { cache, repo } = await openCache({ omitted: [] })
    await truncate(join(repo, 'blobs', file('onnx/model.onnx').sha256), 1000)
    const snapshot = await cache.snapshot(REPO)
    expect(snapshot.problems.map(({ path, why }) => [path, why])).toEqual([
      ['onnx/copy.onnx', 'size'],
      ['onnx/model.onnx', 'size'],
    ])
    expect(snapshot.omitted?.map(({ path }) => path)).toEqual(['onnx/copy.onnx', 'onnx/model.onnx'])
  })

  it('knows what is absent, but for what is there', async () => {
    const { cache, repo } = await openCache()
    await writeFiles(join(repo, '.no_exist', commit), { 'a/b.json': '', 'config.json': '' })
    expect((await cache.snapshot(REPO)).absent).toEqual(['a/b.json'])
  })

  it('of a blob that @huggingface/hub named by its Xet hash is taken by its listing alone', async () => {
    const { cache, repo } = await openCache({ omitted: [] })
    const xet = 'e'.repeat(64)
    await rename(join(repo, 'blobs', file('config.json').gitOid), join(repo, 'blobs', xet))
    await rm(join(repo, 'snapshots', commit, 'config.json'))
    await symlink(`../../blobs/${xet}`, join(repo, 'snapshots', commit, 'config.json'))
    expect((await checkSnapshot(await cache.snapshot(REPO))).damaged).toEqual([])
    // Nothing else tells it from a damaged one.
    await rm(join(repo, 'trees'), { recursive: true })
    expect((await checkSnapshot(await cache.snapshot(REPO))).damaged.map(({ path }) => path)).toEqual(['config.json'])
  })

  it('is checked by the names of its blobs', async () => {
    const { cache, repo } = await openCache()
    const { sha256 } = file('onnx/model.onnx')
    await flipByte(join(repo, 'blobs', sha256), 200_000)
    await flipByte(join(repo, 'blobs', file('config.json').gitOid), 3)
    const { good, damaged, unknown } = await checkSnapshot(await cache.snapshot(REPO))
    expect(good).toEqual(['empty.txt', 'ü/ä b.txt'])
    expect(unknown).toEqual([])
    expect(damaged.map(({ path }) => path)).toEqual(['config.json', 'onnx/copy.onnx', 'onnx/model.onnx'])
    const [small, large] = damaged
    expect(large?.error).toMatchObject({ code: 'INTEGRITY', file: join(repo, 'blobs', sha256) })
    // The raw CID of the file, and Git's.
    expect(Buffer.from(large?.error.cid.multihash.digest ?? []).toString('hex')).toBe(sha256)
    expect([large?.error.cid.code, small?.error.cid.code]).toEqual([0x55, 0x78])
    expect(CID.parse(String(small?.error.cid)).multihash.code).toBe(0x11)
  })
})

async function openStore(): Promise<FsStore> {
  const store = await openFsStore({ directory: join(await tempDirectory(), 'store') })
  onTestFinished(() => store.close())
  return store
}

const isSmall = ({ size }: { size: number }): boolean => size < 1000

describe('the bytes of a snapshot', () => {
  it('are taken by a store where they are', async () => {
    const { cache } = await openCache()
    const snapshot = await cache.snapshot(REPO)
    const store = await openStore()
    const { cid } = await store.add(snapshotSource(snapshot), { mode: 'reference' })
    const copied = await openStore()
    const { cid: same } = await copied.add(snapshotSource(snapshot, { check: 'as-read' }))
    expect(cid.toString()).toBe(same.toString())
    const inPlace = snapshot.files.find(({ path }) => path === 'onnx/model.onnx')
    const leaf = (await all(store.ls(cid, { path: 'onnx' }))).find(({ name }) => name === 'model.onnx')
    if (!leaf || !store.getPath) throw new Error('not listed')
    expect(await store.getPath(leaf.cid)).toBe(inPlace?.localPath)
    expect((await bytesOf(store.cat(cid, { path: 'onnx/model.onnx' }))).equals(weights)).toBe(true)
  })

  it.each(['first', 'as-read'] as const)('that are damaged are not taken (%s)', async (check) => {
    const { cache, repo } = await openCache()
    await flipByte(join(repo, 'blobs', file('onnx/model.onnx').sha256), 299_999)
    const snapshot = await cache.snapshot(REPO)
    const store = await openStore()
    const adding = store.add(snapshotSource(snapshot, { check }), { mode: check === 'first' ? 'reference' : 'copy' })
    await expect(adding).rejects.toMatchObject({ code: 'INTEGRITY' })
    expect(await all(store.roots())).toEqual([])
    const { cid } = await store.add(snapshotSource(snapshot, { check, filter: isSmall }))
    expect((await all(store.ls(cid))).map(({ name }) => name)).toEqual(['config.json', 'empty.txt', 'ü'])
  })

  it('come in ranges, to be checked by who asked', async () => {
    const { cache } = await openCache()
    const source = createCacheFileSource(await cache.snapshot(REPO))
    const wanted = {
      path: 'onnx/model.onnx',
      size: 300_000,
      sha256: Buffer.from(file('onnx/model.onnx').sha256, 'hex'),
    }
    const pieces = source.read(wanted, { offset: 1000, length: 2000 }, {})
    expect((await bytesOf(pieces)).equals(weights.subarray(1000, 3000))).toBe(true)
    for (const other of [
      { ...wanted, path: 'none' },
      { ...wanted, size: 1 },
      { ...wanted, sha256: Buffer.alloc(32) },
      { path: 'config.json', size: file('config.json').bytes.length, gitOid: 'a'.repeat(40) },
    ]) {
      await expect(bytesOf(source.read(other, { offset: 0, length: 1 }, {}))).rejects.toMatchObject({
        code: 'NOT_FOUND',
      })
    }
    const outside = source.read(wanted, { offset: 299_999, length: 2 }, {})
    await expect(bytesOf(outside)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    const reason = new Error('the caller gave up')
    const stopped = source.read(wanted, { offset: 0, length: 1 }, { signal: AbortSignal.abort(reason) })
    await expect(bytesOf(stopped)).rejects.toBe(reason)
  })

  it('of a file that became another are refused', async () => {
    const { cache } = await openCache()
    const snapshot = await cache.snapshot(REPO)
    const found = snapshot.files.find(({ path }) => path === 'onnx/model.onnx')
    if (!found) throw new Error('not found')
    const source = createCacheFileSource(snapshot)
    await truncate(found.localPath, 10)
    await expect(bytesOf(source.read(found, { offset: 0, length: 5 }, {}))).rejects.toMatchObject({ code: 'BACKEND' })
    await rm(found.localPath)
    await symlink('/etc/hostname', found.localPath)
    await expect(bytesOf(source.read(found, { offset: 0, length: 5 }, {}))).rejects.toMatchObject({ code: 'BACKEND' })
  })
})
