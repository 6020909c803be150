import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

// Ours: one file from one mirror or more, into a new store, durable when acknowledged.
import { openFsStore, type FsStore } from '@x/backend-fs'
import { parseCid } from '@x/cid'
import { createLocalPieces, download, httpSource, type ByteSource, type LocalPieces } from '@x/transfer'

import { createByteCheck } from '../harness/byte-check.ts'
import { runJob, timed } from '../harness/job.ts'
import { repeat } from './repeat.ts'
import type { Revision } from './revisions.ts'

interface Parameters {
  /** A file with the addresses of the mirrors, one a line. */
  addressFile: string
  size: number
  sha256: string
  /** With it each leaf is checked as it comes. */
  root?: string
  outboard?: string
  /** The revision that is wanted, and the one that is held. */
  next?: string
  before?: string
  held?: string
  /** A folder that is made. */
  output: string
  /** How often it is downloaded, each time into a new store. Default 1. */
  times?: number
}

const readRevision = async (path: string): Promise<Revision> => JSON.parse(await readFile(path, 'utf8'))
const piecesOf = ({ pieces }: Revision) =>
  pieces.map(({ offset, length, sha256 }) => ({ offset, length, sha256: new Uint8Array(Buffer.from(sha256, 'hex')) }))

async function localOf(store: FsStore, { root, ...revision }: Revision): Promise<LocalPieces> {
  const from = {
    read: (offset: number, length: number, { signal }: { signal?: AbortSignal | undefined }) =>
      store.cat(parseCid(root), { offset, length, signal }),
  }
  return createLocalPieces(piecesOf({ root, ...revision }).map((piece) => ({ ...piece, from })))
}

await runJob<Parameters>(async (parameters) => {
  const { addressFile, size, sha256, root, outboard, next, before, held, output, times = 1, check } = parameters
  const addresses = (await readFile(addressFile, 'utf8')).split('\n')
  const known = outboard === undefined ? undefined : new Uint8Array(await readFile(outboard))
  const sources = addresses.map((url, index): ByteSource => ({
    ...httpSource({ name: `mirror ${index}`, url: () => `${url}/model` }),
    ...(known && { outboard: async () => known }),
  }))
  const holder = held === undefined ? undefined : await openFsStore({ directory: held, readOnly: true })
  const local = holder && before !== undefined ? await localOf(holder, await readRevision(before)) : undefined
  const pieces = next === undefined ? [] : piecesOf(await readRevision(next))
  await mkdir(output)
  const result = await repeat(times, { addresses, size }, async (index) => {
    const store = await openFsStore({ directory: join(output, `${index}`) })
    const { seconds, value } = await timed(async () => {
      const partials = await store.openPartials()
      const wanted = {
        path: 'model',
        size,
        pieces,
        ...(root === undefined ? { sha256: new Uint8Array(Buffer.from(sha256, 'hex')) } : { root: parseCid(root) }),
      }
      const downloaded = await download(partials, [wanted], sources, {
        createHasher: (name) => createHash(name),
        local,
      })
      await partials.close()
      return downloaded
    })
    const bytes = createByteCheck(check)
    const [file] = value.files
    if (file) for await (const piece of store.cat(file.root, { reuse: true })) bytes.take(piece)
    await store.close()
    return { seconds, figures: { received: value.receipt.bytes / size }, evidence: bytes.evidence() }
  })
  await holder?.close()
  return result
})
