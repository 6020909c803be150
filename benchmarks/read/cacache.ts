// cacache.get.stream.byDigest, which checks the whole file's digest at its end.
import cacache from 'cacache'

import { createByteCheck } from '../harness/byte-check.ts'
import { runJob, timed } from '../harness/job.ts'

await runJob<{ store: string; integrity: string }>(async ({ store, integrity, check }) => {
  const bytes = createByteCheck(check)
  const { seconds } = await timed(async () => {
    const stream = cacache.get.stream.byDigest(store, integrity)
    stream.on('data', (piece: Uint8Array) => bytes.take(piece))
    const end = Promise.withResolvers<void>()
    stream.on('error', end.reject)
    stream.on('end', () => end.resolve())
    await end.promise
  })
  return { seconds, evidence: bytes.evidence() }
})
