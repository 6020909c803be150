import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { encoder, MINILM_SHAPE } from '../../tooling/fixtures/src/index.ts'
import type { Question, Target } from '../harness/types.ts'

const COUNTS = { '16': 1280, '128': 192, mixed: 480 } as const
type Lengths = keyof typeof COUNTS

const CALLERS = [1, 8, 64] as const

export const question: Question = {
  name: 'infer',
  title: 'embeddings of a MiniLM-shaped model for 1, 8 and 64 callers at once',
  rounds: 3,
  async prepare(workspace) {
    const models = workspace.path('models')
    for (const [path, bytes] of Object.entries(encoder(MINILM_SHAPE))) {
      const file = join(models, 'minilm', path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, bytes)
    }
    const store = workspace.path('model-store')
    const add = new URL('../open-model/add.ts', import.meta.url)
    const asked = { models: { 'bench/minilm': join(models, 'minilm') } }
    await workspace.once(workspace.script('add', add, asked, { output: store }))
    const script = (name: string, file: string, parameters: { lengths: Lengths } & object) =>
      workspace.script(
        name,
        new URL(file, import.meta.url),
        { count: COUNTS[parameters.lengths], ...parameters },
        { scope: `${parameters.lengths}, ` },
      )
    const lengthsOf: Lengths[] = ['16', '128', 'mixed']
    const jobs = lengthsOf.flatMap((lengths) =>
      CALLERS.flatMap((callers) => [
        script(`plain, ${lengths}, ${callers}`, 'plain.ts', { models, lengths, callers }),
        script(`ours, ${lengths}, ${callers}`, 'ours.ts', { store, lengths, callers, workers: 1, memory: 'original' }),
      ]),
    )
    const more = [2, 4].map((workers) =>
      script(`ours, ${workers} workers`, 'ours.ts', { store, lengths: '16', callers: 64, workers, memory: 'mmap' }),
    )
    const raw = (
      [
        ['16', 16, 32],
        ['128', 128, 8],
      ] as const
    ).map(([lengths, tokens, rows]) => script(`raw, ${lengths}`, 'raw.ts', { models, lengths, tokens, rows }))
    const faster = (lengths: Lengths, callers: number, atLeast?: number): Target => ({
      type: 'faster',
      label: `${lengths} tokens, ${callers} callers`,
      ours: `ours, ${lengths}, ${callers}`,
      peers: [`plain, ${lengths}, ${callers}`],
      ...(atLeast !== undefined && { atLeast }),
    })
    const targets: Target[] = [
      faster('16', 64, 1.7),
      faster('128', 64, 1.05),
      faster('mixed', 64, 1.5),
      ...lengthsOf.flatMap((lengths) => [faster(lengths, 8), faster(lengths, 1)]),
      { type: 'faster', label: '16 tokens, of raw runs', ours: 'ours, 16, 64', peers: ['raw, 16'], atLeast: 0.9 },
      { type: 'faster', label: '128 tokens, of raw runs', ours: 'ours, 128, 64', peers: ['raw, 128'], atLeast: 0.9 },
      { type: 'at-most', label: 'event loop, p99', job: 'ours, 16, 64', figure: 'loopP99', atMost: 0.02 },
      { type: 'at-most', label: 'p99 of 64 callers, 16 tokens', job: 'ours, 16, 64', figure: 'p99' },
    ]
    return { expected: {}, jobs: [...jobs, ...more, ...raw], targets }
  },
}
