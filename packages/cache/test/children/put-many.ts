import { encodeDagCbor } from '@x/cid'

import { openDiskArea } from '../../src/disk.ts'
import { createCache } from '../../src/index.ts'

// Puts numbered entries and says each that was acknowledged; it may be killed at any time.
const [directory = '', from = '0', to = '0'] = process.argv.slice(2)
const cache = createCache({ disk: await openDiskArea({ directory }), memoryBytes: 0 })
for (let number = Number(from); number < Number(to); number++) {
  const key = await encodeDagCbor({ question: number })
  const { disk } = await cache.put(key, new TextEncoder().encode(`answer ${number} `.repeat(100)))
  if (disk) process.stdout.write(`${JSON.stringify({ number })}\n`)
}
await cache.close()
process.stdout.write(`${JSON.stringify({ done: true })}\n`)
