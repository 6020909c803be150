import { createOutboard, PROFILES, type Outboard } from '@x/cid'
import { expect, it } from 'vitest'

import { download, type DownloadEvent, type DownloadOptions, type WantedFile } from '../src/index.ts'
import { holds, memorySource, MIB, openTemp, outboardOf, quick, sha256, someBytes } from './support.ts'

const bytes = someBytes(4 * MIB)

/** Leaves of another length than any profile has. */
async function oddOutboard(): Promise<Outboard> {
  const chunkBytes = 500_000
  const digests: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += chunkBytes) digests.push(sha256(bytes.subarray(at, at + chunkBytes)))
  return createOutboard({ ...PROFILES['unixfs-v1-2025'], chunkBytes }, bytes.length, Buffer.concat(digests))
}

function watched(): { events: DownloadEvent[]; options: DownloadOptions } {
  const events: DownloadEvent[] = []
  return { events, options: { ...quick, onEvent: (event) => events.push(event) } }
}

const dropped = (events: readonly DownloadEvent[]): DownloadEvent[] =>
  events.filter(({ type }) => type === 'source-dropped')

it('honest sources are no liars where a root has a shape of its own; the SHA-256 is known', async () => {
  const { partials } = await openTemp()
  const { root } = await oddOutboard()
  const file: WantedFile = { path: 'model', size: bytes.length, root, sha256: sha256(bytes) }
  const sources = [memorySource('a', { model: bytes }), memorySource('b', { model: bytes })]
  const { events, options } = watched()
  await expect(download(partials, [file], sources, options)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: 'model: its root has another shape than the profiles give, and no source has its outboard',
  })
  expect(sources.reduce((sum, { served }) => sum + served, 0)).toBe(bytes.length)
  expect(events.filter(({ type }) => type === 'source-dropped' || type === 'file-restarted')).toEqual([])
})

it('honest sources are no liars where a root has a shape of its own, and nothing else is known', async () => {
  const { partials } = await openTemp()
  const { root } = await oddOutboard()
  const file: WantedFile = { path: 'model', size: bytes.length, root }
  const sources = [memorySource('a', { model: bytes }), memorySource('b', { model: bytes })]
  const { events, options } = watched()
  await expect(download(partials, [file], sources, options)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  expect(dropped(events)).toEqual([])
  // Together, and each alone.
  expect(sources.reduce((sum, { served }) => sum + served, 0)).toBeLessThanOrEqual(3 * bytes.length)
})

it('without an outboard, the right bytes come from who has them, however many have others', async () => {
  const { store, partials } = await openTemp()
  const { root } = await outboardOf(bytes)
  const wrong = someBytes(bytes.length, 'wrong')
  const file: WantedFile = { path: 'model', size: bytes.length, root }
  const sources = ['a', 'b', 'c'].map((name) => memorySource(name, { model: name === 'c' ? bytes : wrong }))
  const { files } = await download(partials, [file], sources, quick)
  expect(await holds(store, root, bytes)).toBe(true)
  expect(files[0]?.suspects).toContain('a')
})
