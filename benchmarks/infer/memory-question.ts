import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { wideBert } from '../../tooling/fixtures/src/index.ts'
import type { Question, Target } from '../harness/types.ts'

/** 12 layers of 4096 x 4096 in fp32 are 768 MiB. */
const WIDTH = 4096
const LAYERS = 12
const LAYER_BYTES = WIDTH * WIDTH * 4

const TEXT = 'hello world this is a test'
/** Of the text, with those at both ends. */
const TOKENS = 8

const WORKERS = [1, 2, 4] as const
/** How the weights are held: mapped as they are, mapped as the kernels want them, or a copy in each thread. */
const MODES = [
  ['mmap', WORKERS],
  ['packed', WORKERS],
  ['original', [1]],
] as const

export const memory: Question = {
  name: 'infer/memory',
  title: 'private memory of 1, 2 and 4 workers that share a model of 768 MiB',
  rounds: 2,
  async prepare(workspace) {
    const layers = Math.max(1, Math.min(LAYERS, Math.floor(workspace.bytes / LAYER_BYTES)))
    const models = workspace.path('infer-wide')
    const directory = join(models, 'wide')
    const inputs = workspace.path('infer-wide-inputs.json')
    const store = workspace.path('infer-wide-store')
    for (const [path, bytes] of Object.entries(wideBert(WIDTH, layers))) {
      const file = join(directory, path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, bytes)
    }
    const add = new URL('../open-model/add.ts', import.meta.url)
    await workspace.once(workspace.script('add', add, { models: { 'bench/wide': directory } }, { output: store }))
    const texts = workspace.path('infer-wide-texts.json')
    await writeFile(texts, JSON.stringify([TEXT]))
    const asked = { models, model: 'wide', normalize: false, texts, lengths: [TOKENS] }
    const reference = new URL('reference.ts', import.meta.url)
    await workspace.once(workspace.script('reference', reference, asked, { output: inputs }))
    await rm(models, { recursive: true })
    const jobs = MODES.flatMap(([mode, many]) =>
      many.map((workers) =>
        workspace.script(nameOf(mode, workers), new URL('memory.ts', import.meta.url), {
          store,
          inputs,
          mode,
          workers,
        }),
      ),
    )
    const targets = (['mmap', 'packed'] as const).flatMap((mode): Target[] => [
      {
        type: 'flat',
        label: `four workers, ${mode}`,
        small: nameOf(mode, 1),
        large: nameOf(mode, 4),
        figure: 'privateMB',
      },
      {
        type: 'flat',
        label: `one worker, ${mode}, of a copy`,
        small: nameOf('original', 1),
        large: nameOf(mode, 1),
        figure: 'privateMB',
      },
    ])
    return {
      expected: {},
      jobs,
      targets,
      tables: [
        {
          title: 'memory',
          columns: [
            { label: 'private', figure: 'privateMB', unit: 'MB' },
            { label: 'with clean pages (USS)', figure: 'uniqueMB', unit: 'MB' },
            { label: 'shared out (PSS)', figure: 'proportionalMB', unit: 'MB' },
            { label: 'resident', figure: 'residentMB', unit: 'MB' },
            { label: 'before the model', figure: 'idleMB', unit: 'MB' },
            { label: 'same bits', figure: 'sameBits', unit: 'ratio' },
          ],
        },
      ],
      done: () => rm(store, { recursive: true, force: true }),
    }
  },
}

const nameOf = (mode: string, workers: number): string => `${mode}, ${workers} workers`
