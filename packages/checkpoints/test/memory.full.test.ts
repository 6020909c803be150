import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { openFsStore } from '@x/backend-fs'
import type { SourceNode } from '@x/storage-core'
import { expect, it } from 'vitest'

import { index, tempDirectory, varied, withHeader } from './support.ts'

const MIB = 2 ** 20
const SHARDS = 4
/** Of each shard: 256 MiB. The last tensor of the last shard is over the ceiling. */
const SIZES = [1, 3, 20, 40, 64, 64, 60, 4].map((mib) => mib * MIB)
const CEILING = 128 * MIB
const LARGE = 200 * MIB

it('streams a sharded checkpoint of 1 GiB with a ceiling of 128 MiB in under 400 MiB', async () => {
  const directory = join(await tempDirectory(), 'store')
  const digests: Record<string, string> = {}
  const placed: Record<string, string> = {}
  const entries: [string, SourceNode][] = []
  for (let shard = 1; shard <= SHARDS; shard++) {
    const path = `model-0000${shard}-of-0000${SHARDS}.safetensors`
    const sizes = shard < SHARDS ? SIZES : [56 * MIB, LARGE]
    let end = 0
    const header: Record<string, unknown> = {}
    const names = sizes.map((size, at) => {
      const name = shard === SHARDS && at === 1 ? 'large' : `${shard}.${at}`
      header[name] = { dtype: 'U8', shape: [size], data_offsets: [end, (end += size)] }
      placed[name] = path
      return name
    })
    const open = async function* (): AsyncGenerator<Uint8Array> {
      yield withHeader(JSON.stringify(header))
      for (const [at, name] of names.entries()) {
        const hash = createHash('sha256')
        const piece = varied(MIB, shard * 100 + at)
        for (let written = 0; written < (sizes[at] ?? 0); written += MIB) {
          piece[0] = written / MIB
          hash.update(piece)
          yield piece.slice()
        }
        digests[name] = hash.digest('hex')
      }
    }
    entries.push([path, { type: 'file', open }])
  }
  const indexFile = index(placed)
  const once = async function* (): AsyncGenerator<Uint8Array> {
    yield indexFile
  }
  entries.push(['model.safetensors.index.json', { type: 'file', open: once }])
  const store = await openFsStore({ directory })
  const { cid, size } = await store.add({ type: 'directory', entries: () => entries })
  await store.close()
  expect(size).toBeGreaterThan(1024 * MIB)

  const child = fileURLToPath(new URL('children/stream.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--conditions=@x/source',
    '--disable-warning=ExperimentalWarning',
    child,
    directory,
    cid.toString(),
    String(CEILING),
    'large',
  ])
  const result: { digests: unknown; peakMib: number; beforeMib: number } = JSON.parse(stdout)
  console.log(`peak ${result.peakMib} MiB, ${result.beforeMib} MiB when it was opened`)
  expect(result.digests).toEqual(digests)
  expect(result.peakMib).toBeLessThan(400)
})
