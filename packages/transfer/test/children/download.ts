import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

import { openFsStore } from '@x/backend-fs'
import { parseCid } from '@x/cid'
import { heldFile } from '@x/storage-core'

import { download, httpSource, type ByteSource } from '../../src/index.ts'

// Downloads one file into a store, and says on stdout how far it is; kills may come at any time.
const [text = '{}'] = process.argv.slice(2)
const { directory, url, size, root, outboard, sha256 } = JSON.parse(text)
const say = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`)
const blocks: ByteSource = {
  name: 'blocks',
  // eslint-disable-next-line require-yield
  async *read() {
    throw new Error('it has no bytes')
  },
  outboard: async () => (outboard ? new Uint8Array(await readFile(outboard)) : undefined),
}
const store = await openFsStore({ directory })
const partials = await store.openPartials()
say({ type: 'opened' })
const file = {
  path: 'model',
  size,
  ...(root && { root: parseCid(root) }),
  ...(sha256 && { sha256: new Uint8Array(Buffer.from(sha256, 'hex')) }),
}
const sources = [httpSource({ name: 'http', url: () => `${url}/model` }), ...(outboard ? [blocks] : [])]
const { files, receipt } = await download(partials, [file], sources, {
  createHasher: (name) => createHash(name),
  requestsPerSource: 2,
  onProgress: ({ total }) => say({ type: 'progress', loaded: total.loaded }),
  onEvent: ({ type }) => say({ type }),
})
// The file is held: it is not read again.
const { cid } = await store.add({
  type: 'directory',
  entries: () => files.map(({ path, root: held, size: bytes }) => [path, heldFile(held, { size: bytes })] as const),
})
await partials.release()
say({ type: 'done', root: files[0]?.root.toString(), added: cid.toString(), bytes: receipt.bytes })
await partials.close()
await store.close()
