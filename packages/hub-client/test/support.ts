import {
  fixtureCommit,
  startFixtureHub,
  type FixtureCommit,
  type FixtureHub,
  type FixtureHubOptions,
} from '@x/fixtures/hub'
import { onTestFinished } from 'vitest'

import { createHubClient, type HubClient, type HubClientOptions } from '../src/index.ts'

/** 300 000 bytes, none of them alike over long stretches. */
export const weights: Buffer = Buffer.from(
  Array.from({ length: 300_000 }, (_, index) => (index * 31 + (index >> 8)) & 0xff),
)

export const first: FixtureCommit = fixtureCommit({ 'config.json': '{"first":true}' })
export const second: FixtureCommit = fixtureCommit(
  { 'config.json': '{"a":1}', 'onnx/model.onnx': weights, 'ü/ä b.txt': 'umlauts', 'empty.txt': '' },
  { lfs: ['onnx/model.onnx'] },
)

export const TOKEN = 'hf_secretsecret'

const repositories = {
  'org/model': {
    commits: [first, second],
    refs: { main: second.commit, 'v1/old': first.commit, 'refs/pr/1': first.commit },
  },
  'org/private': { commits: [second], refs: { main: second.commit }, access: 'private' as const },
  'org/gated': { commits: [second], refs: { main: second.commit }, access: 'gated' as const },
}

export async function openHub(options: Partial<FixtureHubOptions> = {}): Promise<FixtureHub> {
  const hub = await startFixtureHub({ repositories, ...options })
  onTestFinished(() => hub.close())
  return hub
}

/** Waits for next to nothing between attempts. */
export const clientOf = (endpoint: string, options: Partial<HubClientOptions> = {}): HubClient =>
  createHubClient({ endpoint, retry: { baseMs: 1 }, ...options })

export async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

/** What the hub lists of a file, for `read`. */
export function wanted(path: string): { path: string; size: number; sha256: Buffer; gitOid: string } {
  const file = second.files.get(path)
  if (!file) throw new Error(`no ${path}`)
  return { path, size: file.bytes.length, sha256: Buffer.from(file.sha256, 'hex'), gitOid: file.gitOid }
}
