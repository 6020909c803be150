import { isStorageError } from '@x/storage-core'

import { openFsStore } from '../../src/index.ts'

// Adds one to a counter kept with a name, many times, against others who do the same.
const [directory = '', times = '0'] = process.argv.slice(2)
const store = await openFsStore({ directory })
let conflicts = 0
for (let done = 0; done < Number(times);) {
  const before = await store.names.get('counter')
  const count = Number(before?.metadata.count ?? 0)
  try {
    // A new CID each time, so that whoever comes second finds another one than it expects.
    const next = await store.add(new TextEncoder().encode(`count ${count + 1}`))
    await store.names.set('counter', next.cid, { expected: before?.cid ?? null, metadata: { count: count + 1 } })
    done++
  } catch (error) {
    if (!isStorageError(error) || error.code !== 'CONFLICT') throw error
    conflicts++
  }
}
await store.close()
process.stdout.write(`${JSON.stringify({ type: 'done', conflicts })}\n`)
