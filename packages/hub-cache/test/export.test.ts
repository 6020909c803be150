import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, it } from 'vitest'

import {
  checkSnapshot,
  exportToHubCache,
  exportToTransformersCache,
  openHubCache,
  type ExportFile,
  type ExportOptions,
} from '../src/index.ts'
import { allPaths, filesToExport, model, older, REPO, tempDirectory, weights } from './support.ts'
import { writeFiles } from './write-files.ts'

const FOLDER = 'models--org--model'
const { commit } = model
const weightsBlob = model.files.get('onnx/model.onnx')?.sha256 ?? ''

const optionsFor = (directory: string, more: Partial<ExportOptions> = {}): ExportOptions => ({
  directory,
  repo: REPO,
  commit,
  ...more,
})

const inodeOf = async (path: string): Promise<number> => (await stat(path)).ino

describe('what is laid out', () => {
  it('is blobs, links, a name and nothing else', async () => {
    const directory = await tempDirectory()
    const files = await filesToExport()
    const placed: string[] = []
    const result = await exportToHubCache(
      files,
      optionsFor(directory, { onProgress: ({ path, size }) => placed.push(`${path} ${size}`) }),
    )
    expect(placed).toEqual(files.map(({ path, size }) => `${path} ${size}`))
    const blobs = [...new Set([...model.files.values()].map(({ lfs, sha256, gitOid }) => (lfs ? sha256 : gitOid)))]
    expect(await allPaths(directory)).toEqual(
      [
        'CACHEDIR.TAG',
        ...blobs.map((name) => `${FOLDER}/blobs/${name}`),
        `${FOLDER}/refs/main`,
        ...files.map(({ path }) => `${FOLDER}/snapshots/${commit}/${path}`),
      ].toSorted(),
    )
    expect(await readFile(join(directory, FOLDER, 'refs', 'main'), 'utf8')).toBe(commit)
    expect(await readFile(join(directory, 'CACHEDIR.TAG'), 'utf8')).toMatch(
      /^Signature: 8a477f597d28d172789f06886806bc55\n/,
    )
    expect(result).toMatchObject({ snapshot: join(directory, FOLDER, 'snapshots', commit), listed: false, moved: [] })
    const { kept, ...others } = result.placed
    expect([kept, Object.values(others).reduce((sum, count) => sum + count, 0)]).toEqual([0, blobs.length])
  })

  it('is linked, or copied, as it is wished', async () => {
    const [source] = (await filesToExport()).filter(({ path }) => path === 'onnx/model.onnx')
    if (!source) throw new Error('no source')
    await chmod(source.localPath, 0o444)
    for (const by of ['hard-link', 'copy'] as const) {
      const directory = await tempDirectory()
      // What is for a group stays with it.
      await mkdir(join(directory, FOLDER, 'blobs'), { recursive: true })
      await chmod(join(directory, FOLDER, 'blobs'), 0o750)
      const { placed } = await exportToHubCache([source], optionsFor(directory, { by: [by] }))
      expect(placed).toMatchObject({ [by]: 1 })
      const blob = join(directory, FOLDER, 'blobs', weightsBlob)
      expect((await inodeOf(blob)) === (await inodeOf(source.localPath))).toBe(by === 'hard-link')
      expect((await stat(blob)).mode & 0o777).toBe(by === 'hard-link' ? 0o444 : 0o640)
    }
  })

  it('stays when it is laid out again, and what is damaged is replaced', async () => {
    const directory = await tempDirectory()
    const files = await filesToExport()
    await exportToHubCache(files, optionsFor(directory, { by: ['copy'] }))
    const blob = join(directory, FOLDER, 'blobs', weightsBlob)
    const { ino } = await stat(blob)
    expect((await exportToHubCache(files, optionsFor(directory))).placed).toMatchObject({ kept: 4, copy: 0 })
    expect((await stat(blob)).ino).toBe(ino)
    await writeFile(blob, Buffer.alloc(weights.length))
    await writeFile(join(directory, FOLDER, 'refs', 'main'), 'x')
    expect((await exportToHubCache(files, optionsFor(directory, { by: ['copy'] }))).placed).toMatchObject({
      kept: 3,
      copy: 1,
    })
    expect((await checkSnapshot(await (await openHubCache({ directory })).snapshot(REPO))).damaged).toEqual([])
  })

  it('replaces links that lead elsewhere, and files in the place of links', async () => {
    const directory = await tempDirectory()
    const files = await filesToExport()
    await writeFiles(join(directory, FOLDER, 'snapshots', commit), {
      'config.json': 'a file',
      'onnx/model.onnx': { link: '/etc/hostname' },
      'onnx/copy.onnx': { link: '../../../blobs/none' },
    })
    const before = await readFile('/etc/hostname')
    const { snapshot } = await exportToHubCache(files, optionsFor(directory))
    expect(await readlink(join(snapshot, 'config.json'))).toMatch(/^\.\.\/\.\.\/blobs\//)
    expect((await readFile(join(snapshot, 'onnx', 'copy.onnx'))).equals(weights)).toBe(true)
    expect((await readFile(join(snapshot, 'onnx', 'model.onnx'))).equals(weights)).toBe(true)
    expect(await readFile('/etc/hostname')).toEqual(before)
  })

  it('leaves other revisions, and says what a name stood for', async () => {
    const directory = await tempDirectory()
    await exportToHubCache(
      await filesToExport(older),
      optionsFor(directory, { commit: older.commit, refs: ['main', 'v1/a'] }),
    )
    const before = await allPaths(directory)
    const { moved } = await exportToHubCache(await filesToExport(), optionsFor(directory))
    expect(moved).toEqual([{ name: 'main', from: older.commit }])
    expect(await allPaths(directory)).toEqual(expect.arrayContaining(before))
    const cache = await openHubCache({ directory })
    expect((await cache.snapshot(REPO)).commit).toBe(commit)
    expect((await cache.snapshot(REPO, 'v1/a')).commit).toBe(older.commit)
  })

  it('twice at the same time is the same', async () => {
    const directory = await tempDirectory()
    const files = await filesToExport()
    const wishes = { omitted: [], absent: ['a/none.json'], by: ['copy'] as const }
    await Promise.all([1, 2, 3].map(() => exportToHubCache(files, optionsFor(directory, wishes))))
    const snapshot = await (await openHubCache({ directory })).snapshot(REPO)
    expect(snapshot).toMatchObject({ absent: ['a/none.json'], omitted: [], problems: [] })
    expect((await checkSnapshot(snapshot)).good).toHaveLength(5)
    expect((await allPaths(directory)).filter((path) => /incomplete|tmp/.test(path))).toEqual([])
  })

  it('is by SHA-256 where no Git object is known, and then has no listing', async () => {
    const directory = await tempDirectory()
    const files = (await filesToExport()).map(({ path, localPath, size, sha256 }) => ({
      path,
      localPath,
      size,
      sha256,
    }))
    const { listed } = await exportToHubCache(files, optionsFor(directory, { omitted: [] }))
    expect(listed).toBe(false)
    expect((await readdir(join(directory, FOLDER, 'blobs'))).every((name) => name.length === 64)).toBe(true)
    const snapshot = await (await openHubCache({ directory })).snapshot(REPO)
    expect((await checkSnapshot(snapshot)).good).toHaveLength(5)
  })

  it('has no listing when an omitted file’s Git object is not known', async () => {
    const directory = await tempDirectory()
    const omitted = [{ path: 'more.bin', size: 5 }]
    expect((await exportToHubCache(await filesToExport(), optionsFor(directory, { omitted }))).listed).toBe(false)
    const known = [{ path: 'more.bin', size: 5, gitOid: 'a'.repeat(40) }]
    expect((await exportToHubCache(await filesToExport(), optionsFor(directory, { omitted: known }))).listed).toBe(true)
    const { omitted: read } = await (await openHubCache({ directory })).snapshot(REPO)
    expect(read).toEqual(known)
  })

  it('keeps a listing that says more', async () => {
    const directory = await tempDirectory()
    await exportToHubCache(await filesToExport(), optionsFor(directory, { omitted: [] }))
    const path = join(directory, FOLDER, 'trees', `${commit}.json`)
    const listing = JSON.parse(await readFile(path, 'utf8'))
    listing.files['config.json'].xet_hash = 'e'.repeat(64)
    const text = JSON.stringify(listing)
    await writeFile(path, text)
    expect((await exportToHubCache(await filesToExport(), optionsFor(directory))).listed).toBe(true)
    expect(await readFile(path, 'utf8')).toBe(text)
    const bare = (await filesToExport()).map(({ gitOid: _oid, ...file }) => file)
    expect((await exportToHubCache(bare, optionsFor(directory, { omitted: [] }))).listed).toBe(true)
    expect(await readFile(path, 'utf8')).toBe(text)
    await writeFile(path, '{')
    expect((await exportToHubCache(await filesToExport(), optionsFor(directory, { omitted: [] }))).listed).toBe(true)
    expect((await (await openHubCache({ directory })).snapshot(REPO)).omitted).toEqual([])
  })
})

describe('what is refused', () => {
  it.each<[string, Partial<ExportFile>]>([
    ['..', { path: '../x' }],
    ['an absolute path', { path: '/x' }],
    ['no path', { path: '' }],
    ['a file twice', { path: 'onnx/model.onnx' }],
    ['a file that is a directory', { path: 'onnx' }],
    ['a file below a file', { path: 'empty.txt/x' }],
    ['a short digest', { sha256: new Uint8Array(20) }],
    ['a size that is none', { size: -1 }],
    ['a Git object that is none', { gitOid: '../../x' }],
    ['a file of another size', { size: 5 }],
    ['a file that is not there', { localPath: '/nowhere/at/all' }],
    ['a directory', { localPath: '/' }],
  ])('%s', async (_what, change) => {
    const directory = await tempDirectory()
    const files = (await filesToExport()).map((file) => (file.path === 'config.json' ? { ...file, ...change } : file))
    await expect(exportToHubCache(files, optionsFor(directory))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    const left = (await allPaths(directory)).filter((path) => path.includes('refs/') || path.endsWith('.incomplete'))
    expect(left).toEqual([])
  })

  it.each<[string, Partial<ExportOptions>]>([
    ['a repository', { repo: '../x' }],
    ['a commit', { commit: 'main' }],
    ['a name', { refs: ['../main'] }],
    ['a commit for a name', { refs: [older.commit] }],
    ['an omitted path', { omitted: [{ path: '../x', size: 1 }] }],
    ['an omitted file that is there', { omitted: [{ path: 'config.json', size: 1 }] }],
    ['an absent path', { absent: ['/x'] }],
    ['an absent file below an absent file', { absent: ['a', 'a/b'] }],
    ['an absent file that is there', { absent: ['config.json'] }],
  ])('%s', async (_what, change) => {
    const directory = await tempDirectory()
    await expect(exportToHubCache(await filesToExport(), optionsFor(directory, change))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    })
    expect(await readdir(directory)).toEqual([])
  })

  it('other bytes than promised, of which nothing stays', async () => {
    for (const damaged of ['onnx/model.onnx', 'config.json']) {
      const directory = await tempDirectory()
      const files = await filesToExport()
      const source = files.find(({ path }) => path === damaged)?.localPath ?? ''
      const bytes = await readFile(source)
      bytes[5] = (bytes[5] ?? 0) ^ 1
      await writeFile(source, bytes)
      await expect(exportToHubCache(files, optionsFor(directory))).rejects.toMatchObject({ code: 'INTEGRITY' })
      const file = model.files.get(damaged)
      const blobs = await readdir(join(directory, FOLDER, 'blobs'))
      expect(blobs.filter((name) => name.startsWith((file?.lfs ? file.sha256 : file?.gitOid) ?? ''))).toEqual([])
      expect(await readdir(join(directory, FOLDER, 'refs'))).toEqual([])
    }
  })

  it('a Git object that is of other bytes than the SHA-256', async () => {
    const directory = await tempDirectory()
    const files = (await filesToExport()).map((file) =>
      file.path === 'config.json' ? { ...file, gitOid: 'a'.repeat(40) } : file,
    )
    await expect(exportToHubCache(files, optionsFor(directory))).rejects.toMatchObject({ code: 'INTEGRITY' })
  })

  it.each<[string, Partial<ExportFile>]>([
    ['a SHA-256', { sha256: createHash('sha256').update('another').digest() }],
    ['a size', { size: 7 }],
  ])('two files with one Git object, of which one has %s of its own', async (_what, change) => {
    for (const check of ['hash', 'none'] as const) {
      const directory = await tempDirectory()
      const [source] = (await filesToExport()).filter(({ path }) => path === 'config.json')
      if (!source) throw new Error('no source')
      const other = join(await tempDirectory(), 'other')
      await writeFile(other, 'another')
      const files = [source, { ...source, path: 'other.json', localPath: other, ...change }]
      await expect(exportToHubCache(files, optionsFor(directory, { check }))).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        message: expect.stringContaining('config.json and other.json'),
      })
      expect(await readdir(directory)).toEqual([])
    }
  })

  it.each([FOLDER, `${FOLDER}/blobs`, `${FOLDER}/snapshots/${commit}`, `${FOLDER}/refs`])(
    'a link in the place of %s',
    async (path) => {
      const directory = await tempDirectory()
      const elsewhere = await tempDirectory()
      await mkdir(join(directory, path, '..'), { recursive: true })
      await symlink(elsewhere, join(directory, path))
      await expect(exportToHubCache(await filesToExport(), optionsFor(directory))).rejects.toMatchObject({
        code: 'BACKEND',
      })
      expect(await readdir(elsewhere)).toEqual([])
    },
  )

  it('a directory in the place of a file', async () => {
    const directory = await tempDirectory()
    await mkdir(join(directory, FOLDER, 'snapshots', commit, 'config.json'), { recursive: true })
    await expect(exportToHubCache(await filesToExport(), optionsFor(directory))).rejects.toMatchObject({
      code: 'BACKEND',
    })
  })

  it('nothing, when it is stopped: with the signal’s own reason', async () => {
    const directory = await tempDirectory()
    const reason = new Error('the caller gave up')
    const controller = new AbortController()
    const { signal } = controller
    const files = await filesToExport()
    const exporting = exportToHubCache(
      files,
      optionsFor(directory, { signal, onProgress: () => controller.abort(reason) }),
    )
    await expect(exporting).rejects.toBe(reason)
    await expect(exportToHubCache(files, optionsFor(directory, { signal }))).rejects.toBe(reason)
    expect((await allPaths(directory)).some((path) => path.includes('refs/'))).toBe(false)
  })
})

async function layOut(directory: string, revision: string, files: Record<string, string>): Promise<void> {
  const sources = await tempDirectory()
  await writeFiles(sources, files)
  const given = Object.entries(files).map(([path, text]): ExportFile => {
    const sha256 = createHash('sha256').update(text).digest()
    return { path, localPath: join(sources, path), size: text.length, sha256 }
  })
  await exportToTransformersCache(given, { directory, repo: REPO, revision })
}

describe('a cache of transformers.js', () => {
  it('is files by their names', async () => {
    const directory = await tempDirectory()
    const files = await filesToExport()
    const { folder, placed } = await exportToTransformersCache(files, { directory, repo: REPO })
    expect(folder).toBe(join(directory, 'org', 'model'))
    expect(placed.kept).toBe(0)
    expect(await allPaths(folder)).toEqual(files.map(({ path }) => path).toSorted())
    expect((await lstat(join(folder, 'onnx', 'model.onnx'))).isFile()).toBe(true)
    await exportToTransformersCache(files, { directory, repo: REPO, revision: older.commit })
    expect(await readFile(join(folder, older.commit, 'onnx', 'model.onnx'))).toHaveLength(weights.length)
    expect((await exportToTransformersCache(files, { directory, repo: REPO })).placed).toMatchObject({ kept: 5 })
  })

  describe('with a revision that is called like a folder', () => {
    const refused = { code: 'INVALID_INPUT' }

    it.each<[string, [string, Record<string, string>], [string, Record<string, string>]]>([
      ['of main', ['main', { 'onnx/model.onnx': 'main!' }], ['onnx', { 'model.onnx': 'other' }]],
      ['of main, with other files', ['main', { 'onnx/model.onnx': 'main!' }], ['onnx', { 'more.onnx': 'other' }]],
      ['of main, and is there first', ['onnx', { 'model.onnx': 'other' }], ['main', { 'onnx/model.onnx': 'main!' }]],
      ['below one', ['main', { 'a/b/c/x': 'main!' }], ['a/b', { 'c/x': 'other' }]],
      ['below one, and is there first', ['a/b', { 'c/x': 'other' }], ['main', { 'a/b/c/x': 'main!' }]],
      ['of another', ['v1', { 'onnx/x': 'v1' }], ['v1/onnx', { x: 'other' }]],
      ['of another, and is there first', ['v1/onnx', { x: 'other' }], ['v1', { 'onnx/x': 'v1' }]],
    ])('%s, it is refused, and what is there stays', async (_what, [first, files], second) => {
      const directory = await tempDirectory()
      await layOut(directory, first, files)
      const before = await allPaths(directory)
      await expect(layOut(directory, ...second)).rejects.toMatchObject(refused)
      expect(await allPaths(directory)).toEqual(before)
      await layOut(directory, first, Object.fromEntries(Object.keys(files).map((path) => [path, 'newer'])))
      const base = join(directory, 'org', 'model', ...(first === 'main' ? [] : first.split('/')))
      for (const path of Object.keys(files)) expect(await readFile(join(base, path), 'utf8')).toBe('newer')
    })

    it('of nobody, it is beside the others', async () => {
      const directory = await tempDirectory()
      for (const revision of ['main', 'refs/pr/1', 'v1', 'refs/pr/2', 'v1', 'main']) {
        await layOut(directory, revision, { 'onnx/model.onnx': revision })
      }
      const read = (...path: string[]): Promise<string> =>
        readFile(join(directory, 'org', 'model', ...path, 'onnx', 'model.onnx'), 'utf8')
      expect([await read(), await read('v1'), await read('refs', 'pr', '2')]).toEqual(['main', 'v1', 'refs/pr/2'])
    })

    it('and files that transformers.js put there, it is refused', async () => {
      const directory = await tempDirectory()
      await writeFiles(join(directory, 'org', 'model', 'v1'), { 'config.json': '{}' })
      await expect(layOut(directory, 'v1', { 'config.json': '{"a":1}' })).rejects.toMatchObject(refused)
    })

    it('a file that looks as if it said so is refused', async () => {
      const directory = await tempDirectory()
      const files = { 'onnx/.ipfs-accelerate-revision': 'onnx' }
      await expect(layOut(directory, 'main', files)).rejects.toMatchObject(refused)
    })
  })

  it('is found by transformers.js, which asks nobody', async () => {
    const directory = await tempDirectory()
    await exportToTransformersCache(await filesToExport(), { directory, repo: REPO })
    const { AutoConfig, env } = await import('@huggingface/transformers')
    const asked: unknown[] = []
    env.allowLocalModels = false
    env.cacheDir = directory
    env.fetch = (input: unknown) => {
      asked.push(input)
      return Promise.reject(new Error('offline'))
    }
    expect(await AutoConfig.from_pretrained(REPO)).toMatchObject({ model_type: 'bert' })
    expect(asked).toEqual([])
  })
})
