import { chmod, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { decodeNode, type CID } from '@x/cid'
import type { ContentStore } from '@x/storage-core'
import { contentStoreConformance } from '@x/storage-core/conformance'
import { beforeAll, vi } from 'vitest'

import { openFsStore } from '../src/index.ts'
import { sharedPool } from '../src/workers/worker-pool.ts'
import { filesBelow, openTemp, tempDirectory } from './support.ts'

const directories = new WeakMap<ContentStore, string>()

/** Leaves that the threads were asked to read: what is read in sequence is read by them. */
let leavesRead = 0

beforeAll(() => {
  const pool = sharedPool()
  const run = pool.run.bind(pool)
  vi.spyOn(pool, 'run').mockImplementation((job) => {
    if (job.type === 'read-leaves') leavesRead += job.end - job.first
    return run(job)
  })
  return () => vi.restoreAllMocks()
})

contentStoreConformance('fs', {
  async open() {
    const { store, directory } = await openTemp()
    directories.set(store, directory)
    return store
  },
  async openBroken() {
    const directory = join(await tempDirectory(), 'store')
    const store = await openFsStore({ directory })
    await rm(directory, { recursive: true })
    await writeFile(directory, 'a file in the place of the store')
    return store
  },
  corrupt,
  leavesRead: () => leavesRead,
})

/** Finds the block's bytes wherever they lie in the store, and flips one bit in their middle. */
async function corrupt(store: ContentStore, cid: CID): Promise<void> {
  const directory = directories.get(store) ?? ''
  const block = Buffer.from(await store.blocks.get(cid))
  const node = cid.code === 0x70 ? decodeNode(cid, block) : undefined
  // A wrapped leaf lies in its file without its wrapping.
  const bytes = node?.type === 'file' && node.data.length > 0 ? node.data : block
  for (const area of ['files', 'blocks', 'packs']) {
    for (const path of await filesBelow(join(directory, area))) {
      const at = (await readFile(path)).indexOf(bytes)
      if (at >= 0) await flipBit(path, at + (bytes.length >> 1))
    }
  }
}

async function flipBit(path: string, at: number): Promise<void> {
  await chmod(path, 0o644)
  const handle = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, at)
  byte[0] = (byte[0] ?? 0) ^ 1
  await handle.write(byte, 0, 1, at)
  await handle.close()
}
