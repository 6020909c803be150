import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'

import { kuboAdd, kuboTarget } from '../harness/kubo.ts'
import type { Question } from '../harness/types.ts'
import { syncAll } from '../harness/workspace.ts'

export const question: Question = {
  name: 'add',
  title: 'a file into a new store, durable when acknowledged',
  async prepare(workspace) {
    const { path, sha256 } = await workspace.file()
    const copy = workspace.path('copy')
    const job = (name: string, script: string, parameters: object = {}) =>
      workspace.script(
        name,
        new URL(script, import.meta.url),
        { path, ...parameters },
        { output: workspace.path('added') },
      )
    const kubos = [
      ...kuboAdd(workspace, { name: 'kubo add + syncfs', args: ['--pin=true', path], durable: 'syncfs' }),
      ...kuboAdd(workspace, { name: 'kubo add, flatfs sync', args: ['--pin=true', path], durable: 'flatfs' }),
    ]
    return {
      expected: { sha256 },
      jobs: [
        job('ours', 'ours.ts'),
        job('importer + blockstore-fs + syncfs', 'importer.ts'),
        job('cacache sha256 + syncfs', 'cacache.ts', { algorithm: 'sha256' }),
        ...kubos,
        {
          name: 'dd + fsync',
          reads: [path],
          before: async () => {
            await rm(copy, { force: true })
            await syncAll(workspace.path('figures'))
          },
          command: () => ['dd', `if=${path}`, `of=${copy}`, 'bs=1M', 'conv=fsync', 'status=none'],
          result: async (_stdout, check) => ({
            evidence: { copied: 'yes', ...(check && { sha256: await sha256Of(copy) }) },
          }),
          after: () => rm(copy, { force: true }),
        },
      ],
      targets: [
        {
          type: 'faster',
          label: 'importer + blockstore-fs + syncfs',
          ours: 'ours',
          peers: ['importer + blockstore-fs + syncfs'],
          atLeast: 3,
        },
        { type: 'faster', label: 'cacache + syncfs', ours: 'ours', peers: ['cacache sha256 + syncfs'], atLeast: 2 },
        kuboTarget(
          workspace,
          'Kubo add',
          kubos.map(({ name }) => name),
          1.5,
        ),
        // The limit of the disk: the start of a Node is no part of it.
        {
          type: 'faster',
          label: 'dd + fsync (the limit)',
          ours: 'ours',
          peers: ['dd + fsync'],
          atLeast: 0.95,
          basis: 'work',
        },
      ],
    }
  },
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), hash)
  return hash.digest('hex')
}
