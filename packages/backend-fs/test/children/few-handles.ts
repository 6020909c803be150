import { readdirSync } from 'node:fs'

import type { CID } from '@x/cid'
import { BackendError } from '@x/storage-core'

import { openFsStore, pathSource, type FsStore } from '../../src/index.ts'

// Adds a folder, then reads all of its files at once and again one by one, in a process that may open few files.
const [directory = '', folder = ''] = process.argv.slice(2)

const say = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`)
const openHandles = (): number => readdirSync('/proc/self/fd').length

async function read(store: FsStore, root: CID): Promise<void> {
  for await (const piece of store.cat(root)) if (piece.length === 0) throw new Error('an empty piece')
}

const store = await openFsStore({ directory })
say({ type: 'opened' })
let root
try {
  root = (await store.add(await pathSource(folder))).cid
  say({ type: 'added', cid: root.toString() })
} catch (error) {
  const isRetryable = error instanceof BackendError && error.retryable
  say({ type: 'refused', isRetryable, message: String(error) })
}
if (root) {
  const files: CID[] = []
  for await (const { cid } of store.ls(root)) files.push(cid)
  const opened = store
  // The threads have their handles by now.
  const before = openHandles()
  const settled = await Promise.allSettled(files.map((cid) => read(opened, cid)))
  const refusals = settled.filter((one) => one.status === 'rejected').map(({ reason }) => reason as unknown)
  const others = refusals.filter((reason) => !(reason instanceof BackendError && reason.retryable))
  const bytes = await store.verify(root)
  say({
    type: 'read',
    files: files.length,
    others: others.map(String),
    bytes,
    left: Math.max(0, openHandles() - before),
  })
}
await store.close()
