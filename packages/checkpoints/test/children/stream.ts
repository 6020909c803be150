import { createHash } from 'node:crypto'

import { openFsStore } from '@x/backend-fs'
import { CID } from '@x/cid'

import { openCheckpoint } from '../../src/index.ts'

// Streams a checkpoint with a slow consumer, and says what it saw and how much memory the process took at its most.
const [directory = '', cid = '', maxBytes = '', large = ''] = process.argv.slice(2)
const store = await openFsStore({ directory })
const checkpoint = await openCheckpoint(store, CID.parse(cid))
const before = process.resourceUsage().maxRSS
const digests: Record<string, string> = {}
const small = checkpoint.list.flatMap(({ name }) => (name === large ? [] : [name]))
await checkpoint.forEach(
  async ({ name, data }) => {
    // Others are read meanwhile, as far as there is room.
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
    digests[name] = createHash('sha256').update(data).digest('hex')
  },
  { names: small, maxBytes: Number(maxBytes), concurrency: 2 },
)
const hash = createHash('sha256')
for await (const { data } of checkpoint.pieces(large, { maxBytes: Number(maxBytes) })) hash.update(data)
digests[large] = hash.digest('hex')
// KiB on every platform, says libuv.
const [peakMib, beforeMib] = [process.resourceUsage().maxRSS, before].map((kib) => Math.round(kib / 1024))
await store.close()
process.stdout.write(JSON.stringify({ digests, peakMib, beforeMib }))
