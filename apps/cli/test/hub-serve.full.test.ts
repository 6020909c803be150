/** `hub serve` as a process of its own, and the programs that people have as its clients. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'

import { downloadFile, snapshotDownload } from '@huggingface/hub'
import { fixtureModel, writeFixtureModel } from '@x/fixtures'
import { fixtureCommit, startFixtureHub } from '@x/fixtures/hub'
import { expect, it, onTestFinished, vi } from 'vitest'

import { programOf, pythonOrSkip } from '../../../tooling/python/python-or-skip.ts'
import { cli, temporaryDirectory } from './harness.ts'
import { startServing, type ServingProcess } from './serve-process.ts'

const REPO = 'org/tiny'
const { files } = fixtureModel('tiny-bert')
/** Runs `hub serve` until the test ends. Resolves when it has said where it is. */
function hubServe(folder: string, args: string[] = [], more: Record<string, string> = {}): Promise<ServingProcess> {
  return startServing(['hub', 'serve', '--store', path.join(folder, 'store'), ...args], {
    env: { PATH: process.env['PATH'], HOME: folder, HF_HOME: path.join(folder, 'hf'), ...more },
  })
}

async function withModel(): Promise<string> {
  const folder = await temporaryDirectory()
  await writeFixtureModel('tiny-bert', path.join(folder, 'model'))
  const args = ['model', 'add', path.join(folder, 'model'), '--name', REPO, '--json']
  expect(await cli([...args, '--store', path.join(folder, 'store')])).toMatchObject({ code: 0 })
  return folder
}

/** Files of the model that are not there as they are. */
async function wrongFiles(directory: string): Promise<string[]> {
  const wrong = []
  for (const [name, bytes] of Object.entries(files)) {
    if (!(await readFile(path.join(directory, name))).equals(bytes)) wrong.push(name)
  }
  return wrong
}

/** All files, into a cache of its own; the library prints each. */
async function snapshotFrom(hubUrl: string): Promise<string> {
  const printed = vi.spyOn(console, 'debug').mockReturnValue()
  const cacheDir = await temporaryDirectory()
  try {
    return await snapshotDownload({ repo: REPO, hubUrl, cacheDir })
  } finally {
    printed.mockRestore()
  }
}

it('@huggingface/hub takes a snapshot from it, and Ctrl-C ends it', async () => {
  const { url, stop } = await hubServe(await withModel())
  expect(await wrongFiles(await snapshotFrom(url))).toEqual([])
  expect(await stop()).toEqual({ code: 0, stderr: expect.stringContaining('Ctrl-C ends it') })
})

it('`hf download` takes a model from it', async (context) => {
  pythonOrSkip(context, 'hub-2')
  const folder = await withModel()
  const { url } = await hubServe(folder)
  const target = path.join(folder, 'target')
  await promisify(execFile)(programOf('hub-2', 'hf'), ['download', REPO, '--local-dir', target], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      HF_HOME: path.join(folder, 'hf'),
      HF_ENDPOINT: url,
      HF_HUB_DISABLE_TELEMETRY: '1',
      HF_HUB_DISABLE_UPDATE_CHECK: '1',
      DO_NOT_TRACK: '1',
    },
  })
  expect(await wrongFiles(target)).toEqual([])
})

it('what is no model is not listed, whatever its name', async () => {
  const folder = await withModel()
  const docs = path.join(folder, 'docs')
  await mkdir(docs)
  await writeFile(path.join(docs, 'README.md'), '# Notes\n')
  const store = ['--store', path.join(folder, 'store')]
  expect(await cli(['add', docs, '--name', 'org/notes', ...store])).toMatchObject({ code: 0 })
  const { url } = await hubServe(folder)
  expect(await (await fetch(`${url}/api/models`)).json()).toMatchObject([{ id: REPO }])
})

it('--token-file: who does not send the token is refused', async () => {
  const folder = await withModel()
  const tokenFile = path.join(folder, 'token')
  await writeFile(tokenFile, 'hf_right\n')
  const { url: hubUrl, stop } = await hubServe(folder, ['--token-file', tokenFile])
  const ask = (accessToken?: string) => downloadFile({ repo: REPO, path: 'config.json', hubUrl, accessToken })
  await expect(ask()).rejects.toMatchObject({ statusCode: 401 })
  await expect(ask('hf_wrong')).rejects.toMatchObject({ statusCode: 401 })
  expect(await (await ask('hf_right'))?.text()).toBe(new TextDecoder().decode(files['config.json']))
  expect((await stop()).stderr).not.toContain('hf_')
})

it('--pull-through: what is not there is fetched, kept, and there when the upstream is gone', async () => {
  const made = fixtureCommit(files, { lfs: ['onnx/model.onnx'] })
  const upstream = await startFixtureHub({ repositories: { [REPO]: { commits: [made], refs: { main: made.commit } } } })
  onTestFinished(() => upstream.close())
  const folder = await temporaryDirectory()
  const environment = { HF_ENDPOINT: upstream.url }
  const first = await hubServe(folder, ['--pull-through'], environment)
  expect(await wrongFiles(await snapshotFrom(first.url))).toEqual([])
  const asked = upstream.requests.filter(({ url }) => url.includes('/resolve/')).length
  expect(asked).toBe(Object.keys(files).length)
  expect(await wrongFiles(await snapshotFrom(first.url))).toEqual([])
  expect(upstream.requests.filter(({ url }) => url.includes('/resolve/'))).toHaveLength(asked)
  await upstream.close()
  expect(await wrongFiles(await snapshotFrom(first.url))).toEqual([])
  await first.stop()
  // Another process knows what the first one kept.
  const second = await hubServe(folder, ['--pull-through'], environment)
  expect(await wrongFiles(await snapshotFrom(second.url))).toEqual([])
})

it('--pull-through: what a pull left at the hub comes from there when it is asked for', async () => {
  const pickle = new Uint8Array(100_000).fill(1)
  const made = fixtureCommit(
    { ...files, 'pytorch_model.bin': pickle },
    { lfs: ['onnx/model.onnx', 'pytorch_model.bin'] },
  )
  const upstream = await startFixtureHub({ repositories: { [REPO]: { commits: [made], refs: { main: made.commit } } } })
  onTestFinished(() => upstream.close())
  const folder = await temporaryDirectory()
  const environment = { HF_ENDPOINT: upstream.url, HF_HOME: path.join(folder, 'hf') }
  const args = ['model', 'pull', `hf://${REPO}`, '--json', '--store', path.join(folder, 'store')]
  expect((await cli(args, { environment })).lines).toMatchObject([{ omitted: 1 }])
  const { url } = await hubServe(folder, ['--pull-through'], environment)
  upstream.requests.length = 0
  const snapshot = await snapshotFrom(url)
  expect(await wrongFiles(snapshot)).toEqual([])
  expect((await readFile(path.join(snapshot, 'pytorch_model.bin'))).equals(pickle)).toBe(true)
  const asked = upstream.requests.filter((request) => request.url.includes('/resolve/'))
  expect(asked.map((request) => path.basename(request.url))).toEqual(['pytorch_model.bin'])
  await upstream.close()
  expect(await wrongFiles(await snapshotFrom(url))).toEqual([])
  // What is here is served, too, when the upstream was never there.
  const elsewhere = await temporaryDirectory()
  const car = path.join(folder, 'model.car')
  expect(
    await cli(['model', 'pack', REPO, '-o', car, '--name', REPO, '--store', path.join(folder, 'store')]),
  ).toMatchObject({
    code: 0,
  })
  expect(await cli(['model', 'unpack', car, '--store', path.join(elsewhere, 'store')])).toMatchObject({ code: 0 })
  const gone = await hubServe(elsewhere, ['--pull-through'], environment)
  const config = await downloadFile({ repo: REPO, path: 'config.json', hubUrl: gone.url })
  expect(await config?.text()).toBe(new TextDecoder().decode(files['config.json']))
})
