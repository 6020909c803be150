import { UnsupportedError } from '@x/cid'

import { emptyIndex, isUnfinished } from './index-file.ts'
import { assertNoData, DATA, ifThere, indexGenerations, indexName, openDirectory } from './layout.ts'
import type { Medium } from './medium.ts'

// The index is appended to, or another one takes its place, while it is read.
const READ_TRIES = 20

const refuse = async (): Promise<never> => {
  throw new UnsupportedError('the store was opened to be read, not written')
}

/** For reading, wherever there is the file system. */
export async function openReadOnlyMedium(path: string): Promise<Medium> {
  const directory = await openDirectory(path, false)
  return {
    readIndex: async () => (await readIndex(directory)).bytes,
    revision: async () => (await readIndex(directory, 'head')).revision,
    truncateIndex: refuse,
    appendIndex: refuse,
    replaceIndex: refuse,
    create: refuse,
    write: refuse,
    seal: refuse,
    remove: refuse,
    list: refuse,
    async close() {},
  }
}

async function readIndex(
  directory: FileSystemDirectoryHandle,
  part: 'all' | 'head' = 'all',
): Promise<{ bytes: Uint8Array; revision: string }> {
  for (let tries = 1; ; tries++) {
    try {
      for (const generation of await indexGenerations(directory)) {
        const handle = await ifThere(directory.getFileHandle(indexName(generation)))
        if (!handle) continue
        const file = await handle.getFile()
        const read = part === 'all' ? file : file.slice(0, emptyIndex().length)
        const bytes = new Uint8Array(await read.arrayBuffer())
        // It is only appended to, and another one has another number.
        if (!isUnfinished(bytes)) return { bytes, revision: `${generation}.${file.size}` }
      }
      await assertNoData(await directory.getDirectoryHandle(DATA))
      return { bytes: emptyIndex(), revision: '' }
    } catch (error) {
      if (tries >= READ_TRIES) throw error
    }
  }
}
