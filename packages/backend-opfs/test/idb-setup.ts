import { answerOf, CHUNKS, openDatabase, transact } from '../src/indexeddb/database.ts'
import { openIdbMedium } from '../src/indexeddb/idb-medium.ts'
import type { Medium } from '../src/medium.ts'
import { contentStoreOn, type OpfsSetup } from './opfs-setup.ts'

export async function openIdb(directory: string): Promise<Medium> {
  const medium = await openIdbMedium(directory, { readOnly: false })
  if (!medium) throw new Error('it was not made')
  return medium
}

/** Changes a byte of a data file in the database. */
async function changeChunk(directory: string, id: string, at: number): Promise<void> {
  const database = await openDatabase(directory, false)
  if (!database) throw new Error('there is no database')
  const range = IDBKeyRange.bound([id, 0], [id, Infinity])
  const chunks: unknown[] = await transact(database, 'readonly', (store) => answerOf(store(CHUNKS).getAll(range)))
  let begin = 0
  for (const [index, chunk] of chunks.entries()) {
    if (!(chunk instanceof Blob)) throw new TypeError('a chunk is no Blob')
    const within = at - begin
    begin += chunk.size
    if (within < 0 || within >= chunk.size) continue
    const bytes = new Uint8Array(await chunk.arrayBuffer())
    bytes[within] = (bytes[within] ?? 0) ^ 1
    await transact(database, 'readwrite', (store) => void store(CHUNKS).put(new Blob([bytes]), [id, index]))
  }
  database.close()
}

export const idbContentStore: OpfsSetup = contentStoreOn(openIdb, async ({ directory, vault }, container, at, cid) => {
  await changeChunk(directory, container.id, at)
  // The blobs of the moment before are still what they were.
  await vault.freshFile(cid, container)
})
