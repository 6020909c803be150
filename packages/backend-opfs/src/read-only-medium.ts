import { UnsupportedError } from '@x/cid'

import { emptyIndex, isUnfinished } from './index-file.ts'
import { assertNoData, DATA, ifThere, indexGenerations, indexName, openDirectory } from './layout.ts'
import type { Medium } from './medium.ts'
import { fileAt } from './read-span.ts'

// The index is appended to, or another one takes its place, while it is read.
const READ_TRIES = 20

const refuse = async (): Promise<never> => {
  throw new UnsupportedError('the store was opened to be read, not written')
}

/** For reading, wherever there is the file system. */
export async function openReadOnlyMedium(path: string): Promise<Medium> {
  const directory = await openDirectory(path, false)
  const data = await directory.getDirectoryHandle(DATA)
  return {
    readIndex: () => newestIndex(directory, async (index) => (index ? bytesOf(index.file) : emptyIndex())),
    revision: () =>
      newestIndex(directory, async (index) => ({ generation: index?.generation ?? 0, size: index?.file.size ?? 0 })),
    readAppended: (generation, from) =>
      newestIndex(directory, async (index) => {
        const isSame = index?.generation === generation && index.file.size >= from
        return isSame ? bytesOf(index.file.slice(from)) : undefined
      }),
    truncateIndex: refuse,
    appendIndex: refuse,
    replaceIndex: refuse,
    create: refuse,
    write: refuse,
    seal: refuse,
    remove: refuse,
    list: refuse,
    file: async (id) => fileAt(await data.getFileHandle(id)),
    keepReserve: refuse,
    giveUpReserve: refuse,
    async close() {},
  }
}

const bytesOf = async (part: Blob): Promise<Uint8Array> => new Uint8Array(await part.arrayBuffer())

/** @param use - Gets the one that counts as it is now; `undefined` in a store where nothing was ever written. */
async function newestIndex<T>(
  directory: FileSystemDirectoryHandle,
  use: (index: { file: File; generation: number } | undefined) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      for (const generation of await indexGenerations(directory)) {
        const handle = await ifThere(directory.getFileHandle(indexName(generation)))
        if (!handle) continue
        const file = await handle.getFile()
        if (!isUnfinished(await bytesOf(file.slice(0, emptyIndex().length)))) return await use({ file, generation })
      }
      await assertNoData(await directory.getDirectoryHandle(DATA))
      return await use(undefined)
    } catch (error) {
      if (tries >= READ_TRIES) throw error
    }
  }
}
