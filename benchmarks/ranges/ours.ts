// Ours: `cat` with offset and length, one after another. `reuse`: a piece is done with when the next is asked for.
import { openFsStore } from '@x/backend-fs'
import { parseCid } from '@x/cid'

import { createByteCheck } from '../harness/byte-check.ts'
import { runJob, timed } from '../harness/job.ts'
import { randomOffsets, RANGE_BYTES } from '../harness/random-ranges.ts'

await runJob<{ store: string; root: string; bytes: number; verify: 'each-leaf' | 'stored' }>(
  async ({ store: directory, root, bytes, verify, check }) => {
    const got = createByteCheck(check)
    const cid = parseCid(root)
    const offsets = randomOffsets(bytes)
    const { seconds } = await timed(async () => {
      const store = await openFsStore({ directory })
      for (const offset of offsets) {
        for await (const piece of store.cat(cid, { offset, length: RANGE_BYTES, verify, reuse: true })) got.take(piece)
      }
      await store.close()
    })
    return { seconds, evidence: got.evidence() }
  },
)
