import { buildOutboard, cidOf, encodeOutboard, RAW } from '@x/cid'
import { openMemoryPartials, openMemoryStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { download, type ByteSource } from '../src/index.ts'

it('downloads in a page, by root and by SHA-256', async () => {
  const bytes = new Uint8Array(3_000_000).map((_, index) => (index * 7) % 251)
  const { cid, outboard } = await buildOutboard([bytes])
  const source: ByteSource = {
    name: 'a',
    async *read(_file, { offset, length }) {
      for (let at = offset; at < offset + length; at += 50_000) {
        yield bytes.slice(at, Math.min(at + 50_000, offset + length))
      }
    },
    outboard: async () => encodeOutboard(outboard),
  }
  const digest = (await cidOf(RAW, bytes)).multihash.digest
  for (const known of [{ root: cid }, { sha256: digest }]) {
    const store = await openMemoryStore()
    const { files } = await download(openMemoryPartials(store), [{ path: 'm', size: bytes.length, ...known }], [source])
    expect(files[0]?.root.toString()).toBe(cid.toString())
    expect(await store.has(cid)).toBe(true)
  }
})
