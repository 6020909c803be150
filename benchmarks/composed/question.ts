import { rm } from 'node:fs/promises'

import { createStores } from '../harness/stores.ts'
import type { Question } from '../harness/types.ts'

const LEAF_MB = 1024 ** 2 / 1e6

export const question: Question = {
  name: 'composed',
  title: 'a whole file from one store of several, every byte verified',
  async prepare(workspace) {
    const { path, bytes, sha256 } = await workspace.file()
    const ours = await createStores(workspace, { path, tag: 'composed' }).ours()
    const output = workspace.path('received')
    return {
      expected: { sha256, bytes: String(bytes), root: ours.root },
      jobs: [
        workspace.script('alone', new URL('alone.ts', import.meta.url), ours),
        workspace.script('composed', new URL('composed.ts', import.meta.url), ours),
        workspace.script('failover', new URL('failover.ts', import.meta.url), { ...ours, size: bytes }, { output }),
      ],
      targets: [
        {
          type: 'faster',
          label: 'the local store alone, of what is held',
          ours: 'composed',
          peers: ['alone'],
          atLeast: 0.97,
        },
        {
          type: 'at-most',
          label: 'fetched again where a backend dies in the middle',
          job: 'failover',
          figure: 'againMB',
          atMost: LEAF_MB,
          unit: 'MB',
        },
        { type: 'at-most', label: 'peak memory of that', job: 'failover', figure: 'peakBytes' },
      ],
      done: () => rm(ours.store, { recursive: true, force: true }),
    }
  },
}
