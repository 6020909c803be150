import { mkdir } from 'node:fs/promises'

import type { Job, Question, Target } from '../harness/types.ts'
import { MODELS, prepareModels, type BenchModel } from './models.ts'

export const start: Question = {
  name: 'infer/start',
  title: 'from the start of the process to the first embedding',
  rounds: 5,
  async prepare(workspace) {
    const { models, store, inputs } = await prepareModels(workspace)
    const script = (name: string, file: string, model: BenchModel, parameters: object): Job =>
      workspace.script(
        `${name}, ${model.name}`,
        new URL(file, import.meta.url),
        { inputs: inputs(model, '16'), model: model.name, ...parameters },
        { scope: `${model.name}: ` },
      )
    const keptOf = ({ name }: BenchModel): string => workspace.path(`infer-kept-start-${name}`)
    for (const model of MODELS) await mkdir(keptOf(model))
    const jobs = MODELS.flatMap((model) => {
      const kept = keptOf(model)
      return [
        script('plain', 'start-plain.ts', model, { models, normalize: model.normalize }),
        ...(['engine', 'runner', 'kept'] as const).map((by) =>
          // What is kept is from the uncounted run.
          script(by, 'start-ours.ts', model, { store, by, kept }),
        ),
      ]
    })
    const targets = MODELS.flatMap(({ name }) =>
      ['engine', 'runner', 'kept'].map((by): Target => ({
        type: 'faster',
        label: `${name}, ${by}`,
        ours: `${by}, ${name}`,
        peers: [`plain, ${name}`],
      })),
    )
    return {
      expected: {},
      jobs,
      targets,
      tables: [
        {
          title: 'start',
          columns: [
            { label: 'modules loaded', figure: 'imported', unit: 'seconds' },
            { label: 'model opened', figure: 'opened', unit: 'seconds' },
            { label: 'same bits', figure: 'sameBits', unit: 'ratio' },
            { label: 'private memory', figure: 'privateMB', unit: 'MB' },
          ],
        },
      ],
    }
  },
}
