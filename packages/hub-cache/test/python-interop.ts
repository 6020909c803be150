import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { FixtureHub } from '@x/fixtures/hub'
import { describe, expect, it } from 'vitest'

import { checkSnapshot, exportToHubCache, openHubCache, type CachedSnapshot } from '../src/index.ts'
import { pythonOrSkip } from './python-or-skip.ts'
import { filesToExport, model, older, openHub, REPO, tempDirectory } from './support.ts'

/** Of the model, sorted. */
export const paths: readonly string[] = [...model.files.keys()].toSorted((a, b) =>
  Buffer.compare(Buffer.from(a), Buffer.from(b)),
)
/** Asked for, and not there. */
export const absent: readonly string[] = ['preprocessor_config.json', 'onnx/none.onnx']

/** That a snapshot is the whole model, and its bytes are. */
export async function expectWhole(snapshot: CachedSnapshot): Promise<void> {
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

/** Files that were fetched. */
export const fileRequests = (hub: FixtureHub): string[] =>
  hub.requests.filter(({ method, url }) => method === 'GET' && url.includes('/resolve/')).map(({ url }) => url)

/** What is asked of each version of the Python client. */
export function pythonInterop(major: 1 | 2): void {
  describe(`huggingface_hub ${major}`, () => {
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
}
