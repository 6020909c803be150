import { openOpfsStore } from '../../src/index.ts'

/** A page that is killed: adds one file, then begins another that never ends. */
async function write(directory: string): Promise<void> {
  const store = await openOpfsStore({ directory, medium: 'indexeddb' })
  const { cid } = await store.add(new Uint8Array(100_000).fill(1), { name: 'done' })
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (let pieces = 1; ; pieces++) {
      yield new Uint8Array(1024 * 1024).fill(pieces)
      if (pieces === 6) postMessage(cid.toString())
      if (pieces > 6) await new Promise(() => {})
    }
  }
  await store.add(endless(), { name: 'never' })
}

addEventListener('message', ({ data }) => void write(String(data)))
