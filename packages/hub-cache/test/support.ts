import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  fixtureCommit,
  startFixtureHub,
  type FixtureCommit,
  type FixtureHub,
  type FixtureHubOptions,
} from '@x/fixtures/hub'
import { onTestFinished } from 'vitest'

import type { ExportFile } from '../src/index.ts'
import { writeFiles } from './write-files.ts'

export const weights: Buffer = Buffer.from(
  Array.from({ length: 300_000 }, (_, index) => (index * 31 + (index >> 8)) & 0xff),
)

const LFS = ['onnx/model.onnx', 'onnx/copy.onnx']

export const older: FixtureCommit = fixtureCommit({ 'config.json': '{"older":true}', 'gone.txt': 'gone' })
export const model: FixtureCommit = fixtureCommit(
  {
    'config.json': '{"model_type":"bert"}',
    'onnx/model.onnx': weights,
    'onnx/copy.onnx': weights,
    'ü/ä b.txt': 'umlauts',
    'empty.txt': '',
  },
  { lfs: LFS },
)

export const REPO = 'org/model'

const refs = { main: model.commit, old: older.commit, 'refs/pr/1': older.commit }

export async function openHub(options: Partial<FixtureHubOptions> = {}): Promise<FixtureHub> {
  const repositories = { [REPO]: { commits: [older, model], refs } }
  const hub = await startFixtureHub({ repositories, ...options })
  onTestFinished(() => hub.close())
  return hub
}

export async function tempDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hub-cache-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** The files of a commit in a directory of their own, to export. */
export async function filesToExport(commit: FixtureCommit = model): Promise<ExportFile[]> {
  const directory = await tempDirectory()
  await writeFiles(directory, Object.fromEntries([...commit.files].map(([path, { bytes }]) => [path, bytes])))
  return [...commit.files].map(([path, { bytes, sha256, gitOid }]) => ({
    path,
    localPath: join(directory, path),
    size: bytes.length,
    sha256: Buffer.from(sha256, 'hex'),
    gitOid,
  }))
}

/** Every file and link below a directory, sorted. */
export async function allPaths(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .toSorted()
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

export const bytesOf = async (pieces: AsyncIterable<Uint8Array>): Promise<Buffer> => Buffer.concat(await all(pieces))
