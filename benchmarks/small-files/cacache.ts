// cacache.put of each file, several at a time, then one syncfs.
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import cacache from 'cacache'

import { runJob, timed } from '../harness/job.ts'
import { syncFileSystem } from '../harness/sync-file-system.ts'

await runJob<{ path: string; output: string; atOnce: number }>(async ({ path, output, atOnce }) => {
  const { seconds, value } = await timed(async () => {
    const names = readdirSync(path).values()
    const lines: string[] = []
    const work = async (): Promise<void> => {
      for (const name of names) {
        // An object of ssri, though its type says a string.
        const integrity: unknown = await cacache.put(output, name, await readFile(join(path, name)), {
          algorithms: ['sha256'],
        })
        lines.push(`${Buffer.from(String(integrity).replace('sha256-', ''), 'base64').toString('hex')}  ${name}`)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    syncFileSystem(output)
    return lines
  })
  // Sorted by name, as the input's manifest is.
  const sorted = value.toSorted((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)).join('\n')
  return { seconds, evidence: { manifest: createHash('sha256').update(sorted).digest('hex') } }
})
