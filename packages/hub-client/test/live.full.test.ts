/** Against a hub that is not ours: what we rely on is still so there. */
import { createHash } from 'node:crypto'

import { expect, it } from 'vitest'

import { liveHubOrSkip } from '../../../tooling/live-hub.ts'
import { createHubClient } from '../src/index.ts'
import { bytesOf } from './support.ts'

const REPO = 'Xenova/all-MiniLM-L6-v2'
const WEIGHTS = 'onnx/model_quantized.onnx'

const notFound = (errorCode: string): object => ({ code: 'NOT_FOUND', cause: { errorCode } })

it('a live hub resolves, lists, and gives files whose digests are those it listed', async (context) => {
  const hub = createHubClient({ endpoint: liveHubOrSkip(context), token: process.env['HF_TOKEN'] || undefined })
  const commit = await hub.resolve(REPO)
  expect(commit).toMatch(/^[0-9a-f]{40}$/)
  expect(await hub.info(REPO)).toMatchObject({ repo: REPO, commit, private: false, gated: false })

  const files = new Map((await hub.tree(REPO, commit)).map((file) => [file.path, file]))
  const config = files.get('config.json')
  const weights = files.get(WEIGHTS)
  if (!config || !weights?.sha256) throw new Error(`it has no ${WEIGHTS} in LFS: ${[...files.keys()].join(', ')}`)
  const text = await bytesOf(hub.read(REPO, commit, config))
  const blob = createHash('sha1').update(`blob ${text.length}\0`).update(text)
  expect(blob.digest('hex')).toBe(config.gitOid)

  const bytes = await bytesOf(hub.read(REPO, commit, weights))
  expect(bytes).toHaveLength(weights.size)
  expect(createHash('sha256').update(bytes).digest().equals(weights.sha256)).toBe(true)
  const part = await bytesOf(hub.read(REPO, commit, weights, { offset: 1_000_000, length: 1000 }))
  expect(part.equals(bytes.subarray(1_000_000, 1_001_000))).toBe(true)
})

it('a live hub says what it has not', async (context) => {
  const hub = createHubClient({ endpoint: liveHubOrSkip(context), token: process.env['HF_TOKEN'] || undefined })
  const commit = await hub.resolve(REPO)
  await expect(hub.resolve(REPO, 'no-such-branch')).rejects.toMatchObject(notFound('RevisionNotFound'))
  await expect(hub.resolve('Xenova/no-such-model-at-all')).rejects.toMatchObject(notFound('RepoNotFound'))
  await expect(bytesOf(hub.read(REPO, commit, 'no/such.file'))).rejects.toMatchObject(notFound('EntryNotFound'))
})
