import { openOpfsStore } from '../../src/index.ts'

/** A dedicated worker of a browser in which those cannot start others: it has the store in itself. */
async function own(directory: string): Promise<void> {
  Reflect.deleteProperty(globalThis, 'Worker')
  if (typeof Worker !== 'undefined') throw new Error('there are workers still')
  const store = await openOpfsStore({ directory })
  const { cid } = await store.add(new Uint8Array(100_000).fill(1), { name: 'alone' })
  postMessage(cid.toString())
}

addEventListener('message', ({ data }) => void own(String(data)))
