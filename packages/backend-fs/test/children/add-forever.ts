import { openFsStore } from '../../src/index.ts'

// Starts an add that never ends, so that its lease is held until the process is killed.
const [directory = ''] = process.argv.slice(2)
const store = await openFsStore({ directory })
await store.add({
  type: 'file',
  open: async function* () {
    yield new Uint8Array(2_000_000)
    process.stdout.write(`${JSON.stringify({ type: 'adding' })}\n`)
    await new Promise(() => setInterval(() => undefined, 1_000_000))
  },
})
