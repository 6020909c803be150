import { lstat, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { downloadFileToCacheDir, scanCacheDir, snapshotDownload } from '@huggingface/hub'
import type { FixtureHub } from '@x/fixtures/hub'
import { describe, expect, it, vi } from 'vitest'

import { checkSnapshot, exportToHubCache, openHubCache, type CachedSnapshot } from '../src/index.ts'
import { pythonOrSkip } from './python-or-skip.ts'
import { allPaths, filesToExport, model, older, openHub, REPO, tempDirectory } from './support.ts'

// Each starts a Python once or twice, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 90_000 })

const paths = [...model.files.keys()].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
const absent = ['preprocessor_config.json', 'onnx/none.onnx']

async function expectWhole(snapshot: CachedSnapshot): Promise<void> {
  expect(snapshot).toMatchObject({ repo: REPO, commit: model.commit, problems: [] })
  expect(snapshot.files.map(({ path }) => path)).toEqual(paths)
  for (const { path, localPath, size, sha256, gitOid } of snapshot.files) {
    const file = model.files.get(path)
    expect((await readFile(localPath)).equals(file?.bytes ?? Buffer.from('none'))).toBe(true)
    expect({ path, size, gitOid, sha256: sha256 && Buffer.from(sha256).toString('hex') }).toEqual({
      path,
      size: file?.bytes.length,
      gitOid: file?.gitOid,
      sha256: file?.lfs === true ? file.sha256 : undefined,
    })
  }
  expect(await checkSnapshot(snapshot)).toEqual({ good: paths, damaged: [], unknown: [] })
}

const fileRequests = (hub: FixtureHub): string[] =>
  hub.requests.filter(({ method, url }) => method === 'GET' && url.includes('/resolve/')).map(({ url }) => url)

describe.each([1, 2] as const)('huggingface_hub %i', (major) => {
  it('makes a cache that is read in place', async (context) => {
    const run = pythonOrSkip(context, major)
    const hub = await openHub()
    const directory = await tempDirectory()
    await run(
      `
import json
from huggingface_hub import snapshot_download, hf_hub_download
snapshot_download("${REPO}")
snapshot_download("${REPO}", revision="refs/pr/1", allow_patterns=["config.json"])
for name in ${JSON.stringify(absent)}:
    try:
        hf_hub_download("${REPO}", name)
    except Exception as error:
        print(type(error).__name__)
print(json.dumps(True))
`,
      { HF_ENDPOINT: hub.url, HF_HUB_CACHE: directory },
    )
    const cache = await openHubCache({ directory })
    expect(await cache.repos()).toEqual([REPO])
    expect(await cache.revisions(REPO)).toEqual(
      [
        { commit: model.commit, refs: ['main'] },
        { commit: older.commit, refs: ['refs/pr/1'] },
      ].toSorted((a, b) => (a.commit < b.commit ? -1 : 1)),
    )
    const snapshot = await cache.snapshot(REPO)
    await expectWhole(snapshot)
    expect(snapshot.absent).toEqual(absent.toSorted())
    // It keeps the listing.
    expect(snapshot.omitted).toEqual([])
    const part = await cache.snapshot(REPO, 'refs/pr/1')
    expect(part.files.map(({ path }) => path)).toEqual(['config.json'])
    expect(part.omitted?.map(({ path }) => path)).toEqual(['gone.txt'])
    expect((await cache.snapshot(REPO, older.commit.slice(0, 10))).commit).toBe(older.commit)
  })

  it('finds offline what was laid out', async (context) => {
    const run = pythonOrSkip(context, major)
    const directory = await tempDirectory()
    const result = await exportToHubCache(await filesToExport(), {
      directory,
      repo: REPO,
      commit: model.commit,
      refs: ['main', 'refs/pr/7'],
      omitted: [],
      absent,
    })
    expect(result).toMatchObject({ listed: true, moved: [] })
    const answer = await run(
      `
import json, hashlib, pathlib
from huggingface_hub import snapshot_download, hf_hub_download, scan_cache_dir, try_to_load_from_cache, _CACHED_NO_EXIST
def digests(folder):
    root = pathlib.Path(folder)
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()}
folder = snapshot_download("${REPO}")
info = scan_cache_dir()
repo = next(iter(info.repos))
print(json.dumps({
    "folder": folder,
    "digests": digests(folder),
    "pr": snapshot_download("${REPO}", revision="refs/pr/7"),
    "commit": snapshot_download("${REPO}", revision="${model.commit}"),
    "file": hf_hub_download("${REPO}", "onnx/model.onnx"),
    "absent": [try_to_load_from_cache("${REPO}", name) is _CACHED_NO_EXIST for name in ${JSON.stringify(absent)}],
    "warnings": [str(w) for w in info.warnings],
    "repos": [r.repo_id for r in info.repos],
    "nb_files": repo.nb_files,
    "refs": sorted(repo.refs),
}))
`,
      { HF_HUB_OFFLINE: '1', HF_HUB_CACHE: directory },
    )
    const { snapshot } = result
    expect(answer).toEqual({
      folder: snapshot,
      digests: Object.fromEntries([...model.files].map(([path, { sha256 }]) => [path, sha256])),
      pr: snapshot,
      commit: snapshot,
      file: join(snapshot, 'onnx', 'model.onnx'),
      absent: [true, true],
      warnings: [],
      repos: [REPO],
      nb_files: model.files.size - 1,
      refs: ['main', 'refs/pr/7'],
    })
    await expectWhole(await (await openHubCache({ directory })).snapshot(REPO))
  })

  it('fetches nothing of what was laid out, verifies it, and adds to it', async (context) => {
    const run = pythonOrSkip(context, major)
    const hub = await openHub()
    const directory = await tempDirectory()
    await exportToHubCache(await filesToExport(), { directory, repo: REPO, commit: model.commit })
    const answer = await run(
      `
import json
from huggingface_hub import snapshot_download, HfApi
snapshot_download("${REPO}")
before = HfApi().verify_repo_checksums("${REPO}")
snapshot_download("${REPO}", revision="old")
print(json.dumps([before.checked_count, before.mismatches, list(before.missing_paths), list(before.extra_paths)]))
`,
      { HF_ENDPOINT: hub.url, HF_HUB_CACHE: directory },
    )
    expect(answer).toEqual([model.files.size, [], [], []])
    expect(fileRequests(hub).filter((url) => url.includes(model.commit) || url.includes('/main/'))).toEqual([])
    const cache = await openHubCache({ directory })
    expect((await cache.snapshot(REPO, 'old')).files).toHaveLength(older.files.size)
    await expectWhole(await cache.snapshot(REPO))
  })

  it('is told when a part alone was laid out', async (context) => {
    const run = pythonOrSkip(context, major)
    const hub = await openHub()
    const directory = await tempDirectory()
    const files = await filesToExport()
    const omitted = files.filter(({ path }) => path === 'config.json')
    const part = files.filter((file) => !omitted.includes(file))
    await exportToHubCache(part, { directory, repo: REPO, commit: model.commit, omitted })
    const script = `
import json
from huggingface_hub import snapshot_download
try:
    snapshot_download("${REPO}")
    print(json.dumps("found"))
except Exception as error:
    print(json.dumps(type(error).__name__))
`
    const offline = { HF_HUB_OFFLINE: '1', HF_HUB_CACHE: directory }
    expect(await run(script, offline)).toBe('IncompleteSnapshotError')
    expect(await run(script, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: directory })).toBe('found')
    expect(fileRequests(hub)).toEqual([`/${REPO}/resolve/${model.commit}/config.json`])
    await expectWhole(await (await openHubCache({ directory })).snapshot(REPO))
  })
})

describe('huggingface_hub 2', () => {
  it('and we may fill a cache at the same time', async (context) => {
    const run = pythonOrSkip(context, 2)
    const hub = await openHub()
    const directory = await tempDirectory()
    const files = await filesToExport()
    const lay = async (): Promise<void> => {
      await exportToHubCache(files, { directory, repo: REPO, commit: model.commit, omitted: [], by: ['copy'] })
    }
    const download = `
import json
from huggingface_hub import snapshot_download
for _ in range(8):
    snapshot_download("${REPO}", force_download=True)
print(json.dumps(True))
`
    const ended = new AbortController()
    const downloading = run(download, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: directory }).finally(() => ended.abort())
    while (!ended.signal.aborted) await lay()
    expect(await downloading).toBe(true)
    await expectWhole(await (await openHubCache({ directory })).snapshot(REPO))
    expect((await allPaths(directory)).filter((path) => /\.incomplete|\.tmp/.test(path))).toEqual([])
  })

  it('removes what was laid out, and not what it was linked from', async (context) => {
    const run = pythonOrSkip(context, 2)
    const directory = await tempDirectory()
    const files = await filesToExport()
    await exportToHubCache(files, { directory, repo: REPO, commit: model.commit, by: ['hard-link'], absent })
    const script = `
import json
from huggingface_hub import scan_cache_dir
scan_cache_dir().delete_revisions("${model.commit}").execute()
print(json.dumps([r.repo_id for r in scan_cache_dir().repos]))
`
    expect(await run(script, { HF_HUB_CACHE: directory })).toEqual([])
    for (const { path, localPath } of files) {
      expect((await readFile(localPath)).equals(model.files.get(path)?.bytes ?? Buffer.from('none'))).toBe(true)
    }
    // Once more, where it was.
    await exportToHubCache(files, { directory, repo: REPO, commit: model.commit })
    await expectWhole(await (await openHubCache({ directory })).snapshot(REPO))
  })

  it('shares blobs between repositories, which are read in place', async (context) => {
    const run = pythonOrSkip(context, 2)
    const directory = await tempDirectory()
    await exportToHubCache(await filesToExport(), { directory, repo: REPO, commit: model.commit, omitted: [] })
    const sha256 = model.files.get('onnx/model.onnx')?.sha256 ?? ''
    const xet = 'e'.repeat(64)
    expect(
      await run(
        `
import json
from huggingface_hub.utils import _shared_blobs
blob = "${directory}/models--org--model/blobs/${sha256}"
print(json.dumps(_shared_blobs.publish_blob_to_shared_store(
    blob_path=blob, xet_hash="${xet}", cache_dir="${directory}", expected_size=300000)))
`,
        { HF_HUB_CACHE: directory },
      ),
    ).toBe(true)
    const blob = join(directory, 'models--org--model', 'blobs', sha256)
    expect((await lstat(blob)).isSymbolicLink()).toBe(true)
    const cache = await openHubCache({ directory })
    expect(await cache.repos()).toEqual([REPO])
    const snapshot = await cache.snapshot(REPO)
    await expectWhole(snapshot)
    expect(snapshot.files.find(({ path }) => path === 'onnx/model.onnx')?.localPath).toBe(
      join(directory, 'blobs', 'ee', xet),
    )
    // Without the listing the name of the first link says what it is.
    await rm(join(directory, 'models--org--model', 'trees'), { recursive: true })
    await expectWhole(await cache.snapshot(REPO))
    // A good blob stays where it is.
    const again = await exportToHubCache(await filesToExport(), { directory, repo: REPO, commit: model.commit })
    expect(again.placed).toMatchObject({ kept: 4, copy: 0, reflink: 0, 'hard-link': 0 })
    expect((await lstat(blob)).isSymbolicLink()).toBe(true)
    // A damaged one is replaced, and what others share is left alone.
    const store = join(directory, 'blobs', 'ee', xet)
    await rm(store)
    await writeFile(store, Buffer.alloc(300_000))
    await exportToHubCache(await filesToExport(), { directory, repo: REPO, commit: model.commit })
    expect((await lstat(blob)).isFile()).toBe(true)
    expect((await readFile(store)).equals(Buffer.alloc(300_000))).toBe(true)
    await expectWhole(await cache.snapshot(REPO))
  })

  it('has a command to verify what was laid out', async (context) => {
    const run = pythonOrSkip(context, 2)
    const hub = await openHub()
    const directory = await tempDirectory()
    await exportToHubCache(await filesToExport(), { directory, repo: REPO, commit: model.commit, omitted: [] })
    const script = `
import json, subprocess, sys, os
hf = os.path.join(os.path.dirname(sys.executable), "hf")
done = subprocess.run([hf, "cache", "verify", "${REPO}", "--fail-on-missing-files", "--fail-on-extra-files"], capture_output=True, text=True)
print(json.dumps([done.returncode, done.stdout + done.stderr]))
`
    expect(await run(script, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: directory })).toEqual([
      0,
      expect.stringContaining('5'),
    ])
  })
})

const quietly = async <T>(work: () => Promise<T>): Promise<T> => {
  const debug = vi.spyOn(console, 'debug').mockImplementation(() => undefined)
  try {
    return await work()
  } finally {
    debug.mockRestore()
  }
}

const nobody = (): Promise<Response> => Promise.reject(new Error('offline'))

describe('@huggingface/hub', () => {
  it('makes a cache that is read in place', async () => {
    const hub = await openHub({
      // It asks for the first byte to learn the size, of which an empty file has none.
      intercept: (request, response) => {
        const isEmpty = request.method === 'GET' && request.url?.endsWith('/empty.txt') === true
        if (isEmpty) response.writeHead(206, { etag: '"e"', 'content-range': 'bytes */0' }).end()
        return isEmpty
      },
    })
    const directory = await tempDirectory()
    await quietly(() => snapshotDownload({ repo: REPO, hubUrl: hub.url, cacheDir: directory }))
    const cache = await openHubCache({ directory })
    const snapshot = await cache.snapshot(REPO)
    await expectWhole(snapshot)
    expect(snapshot).toMatchObject({ absent: [], omitted: undefined })
  })

  it('names a file’s snapshot by its own commit, which is read by that', async () => {
    const hub = await openHub()
    const directory = await tempDirectory()
    const path = 'config.json'
    await quietly(() => downloadFileToCacheDir({ repo: REPO, path, hubUrl: hub.url, cacheDir: directory }))
    const cache = await openHubCache({ directory })
    await expect(cache.snapshot(REPO)).rejects.toMatchObject({ code: 'NOT_FOUND', what: `${REPO}@main` })
    await expect(cache.snapshot(REPO)).rejects.toThrow(model.commit)
    expect((await cache.snapshot(REPO, model.commit)).files).toMatchObject([{ path }])
  })

  it('finds what was laid out, and fetches nothing of it', async () => {
    const hub = await openHub()
    const directory = await tempDirectory()
    const { snapshot } = await exportToHubCache(await filesToExport(), {
      directory,
      repo: REPO,
      commit: model.commit,
      omitted: [],
      absent,
    })
    for (const path of paths) {
      const { commit: revision } = model
      const found = await downloadFileToCacheDir({ repo: REPO, path, revision, cacheDir: directory, fetch: nobody })
      expect(found).toBe(join(snapshot, path))
    }
    expect(await snapshotDownload({ repo: REPO, hubUrl: hub.url, cacheDir: directory })).toBe(snapshot)
    expect(fileRequests(hub)).toEqual([])
    const scanned = await scanCacheDir(directory)
    expect(scanned.warnings).toEqual([])
    expect(scanned.repos).toMatchObject([
      { id: { name: REPO, type: 'model' }, revisions: [{ commitOid: model.commit, refs: ['main'] }] },
    ])
    expect(await readlink(join(snapshot, 'onnx', 'model.onnx'))).toMatch(/^\.\.\/\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/)
  })
})
