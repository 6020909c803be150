import { CID } from '@x/cid'

import { DATA, indexName, openDirectory } from '../src/layout.ts'
import stored from './fixtures/index-v2.json' with { type: 'json' }
import { fresh } from './opfs-setup.ts'

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))

async function write(
  directory: FileSystemDirectoryHandle,
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<void> {
  const writable = await (await directory.getFileHandle(name, { create: true })).createWritable()
  await writable.write(bytes)
  await writable.close()
}

export const writeFile = async (directory: string, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> =>
  write(await openDirectory(directory, false), name, bytes)

/** What is in it. */
export const V2: { tree: CID; loose: CID } = { tree: CID.parse(stored.tree), loose: CID.parse(stored.loose) }

/**
 * A directory as the last release with index version 2 left it: a named file, one that was removed, a directory that is not
 * pinned, and a block of no root, next to one that was deleted.
 */
export async function storeOfVersion2(): Promise<{
  directory: string
  index: Uint8Array<ArrayBuffer>
  files: string[]
}> {
  const directory = fresh()
  const data = await openDirectory(`${directory}/${DATA}`, true)
  for (const { id, base64, size, fill } of stored.data) {
    await write(data, id, base64 === undefined ? new Uint8Array(size ?? 0).fill(fill ?? 0) : bytesOf(base64))
  }
  const index = bytesOf(stored.index)
  await writeFile(directory, indexName(1), index)
  return { directory, index, files: stored.data.map(({ id }) => id).toSorted() }
}
