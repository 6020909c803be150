// cacache.put.stream, then one syncfs.
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'

import cacache from 'cacache'

import { runJob, timed } from '../harness/job.ts'
import { syncFileSystem } from '../harness/sync-file-system.ts'

await runJob<{ path: string; output: string; algorithm: string }>(async ({ path, output, algorithm }) => {
  const { seconds, value } = await timed(async () => {
    const target = cacache.put.stream(output, 'file', { algorithms: [algorithm] })
    let integrity = ''
    target.on('integrity', (found: unknown) => (integrity = String(found)))
    await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), target)
    syncFileSystem(output)
    return integrity
  })
  const [name = '', digest = ''] = value.split(/-(.*)/)
  return { seconds, evidence: { [name]: Buffer.from(digest, 'base64').toString('hex') } }
})
