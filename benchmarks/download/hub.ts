import { createReadStream } from 'node:fs'
import { open, readFile } from 'node:fs/promises'

import { downloadFile } from '@huggingface/hub'

import { createByteCheck } from '../harness/byte-check.ts'
import { runJob, timed } from '../harness/job.ts'

const MOST_ATTEMPTS = 20

// @huggingface/hub: the same file, begun anew as often as it breaks off.
await runJob<{ addressFile: string; size: number; output: string }>(async ({ addressFile, size, output, check }) => {
  const url = await readFile(addressFile, 'utf8')
  let attempts = 0
  const { seconds } = await timed(async () => {
    for (;;) {
      attempts += 1
      const file = await open(output, 'w')
      try {
        const blob = await downloadFile({ repo: 'org/name', path: 'model', hubUrl: url, xet: false })
        if (!blob) throw new Error('it is not there')
        for await (const piece of blob.stream()) await file.write(piece)
        await file.sync()
        return
      } catch (error) {
        if (attempts === MOST_ATTEMPTS) throw error
      } finally {
        await file.close()
      }
    }
  })
  const served = Number(await (await fetch(`${url}/served`)).text())
  const bytes = createByteCheck(check)
  for await (const piece of createReadStream(output)) bytes.take(piece)
  return {
    seconds,
    figures: { ratio: served / size, attempts },
    evidence: bytes.evidence(),
  }
})
