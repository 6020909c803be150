import { createReadStream } from 'node:fs'
import { open, readFile } from 'node:fs/promises'

import { downloadFile } from '@huggingface/hub'

import { createByteCheck } from '../harness/byte-check.ts'
import { runJob, timed } from '../harness/job.ts'
import { repeat } from './repeat.ts'

const MOST_ATTEMPTS = 20

/** @returns How often it was begun. */
async function downloadTo(output: string, hubUrl: string): Promise<number> {
  for (let attempts = 1; ; attempts += 1) {
    const file = await open(output, 'w')
    try {
      const blob = await downloadFile({ repo: 'org/name', path: 'model', hubUrl, xet: false })
      if (!blob) throw new Error('it is not there')
      for await (const piece of blob.stream()) await file.write(piece)
      await file.sync()
      return attempts
    } catch (error) {
      if (attempts === MOST_ATTEMPTS) throw error
    } finally {
      await file.close()
    }
  }
}

// @huggingface/hub: the same file, begun anew as often as it breaks off.
await runJob<{ addressFile: string; size: number; times: number; output: string }>(
  async ({ addressFile, size, times, output, check }) => {
    const url = await readFile(addressFile, 'utf8')
    return repeat(times, { addresses: [url], size }, async () => {
      const { seconds, value: attempts } = await timed(() => downloadTo(output, url))
      const bytes = createByteCheck(check)
      for await (const piece of createReadStream(output)) bytes.take(piece)
      return { seconds, figures: { attempts }, evidence: bytes.evidence() }
    })
  },
)
