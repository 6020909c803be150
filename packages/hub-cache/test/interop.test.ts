import { lstat, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { downloadFileToCacheDir, scanCacheDir, snapshotDownload } from '@huggingface/hub'
import { describe, expect, it, vi } from 'vitest'

import { exportToHubCache, openHubCache } from '../src/index.ts'
import { absent, expectWhole, fileRequests, paths, pythonInterop } from './python-interop.ts'
import { pythonOrSkip } from './python-or-skip.ts'
import { allPaths, filesToExport, model, openHub, REPO, tempDirectory } from './support.ts'

pythonInterop(2)

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
for _ in range(4):
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
