import type { Job, Question, Target } from '../harness/types.ts'
import { MODELS, nameOf, prepareModels, type BenchModel } from '../infer/models.ts'
import type { Lengths } from '../infer/texts.ts'
import { ALL_LENGTHS, CLIENTS, MEMORY, phasesOf, tableOf } from './parts.ts'

export const clients: Question = {
  name: 'serve/clients',
  title: 'embeddings over HTTP for 1, 8 and 64 clients at once',
  rounds: 3,
  async prepare(workspace) {
    const { store, inputs } = await prepareModels(workspace)
    const jobOf = (model: BenchModel, lengths: Lengths): Job =>
      workspace.script(
        nameOf('ours', model, lengths),
        new URL('ours.ts', import.meta.url),
        { inputs: inputs(model, lengths), store, model: model.name, phases: phasesOf(workspace, lengths) },
        { scope: `${model.name}, ${lengths}: ` },
      )
    const all = MODELS.flatMap((model) => ALL_LENGTHS.map((lengths) => [model, lengths] as const))
    return {
      expected: {},
      jobs: all.map(([model, lengths]) => jobOf(model, lengths)),
      targets: all.flatMap(([model, lengths]) => targetsOf(model, lengths)),
      tables: [...CLIENTS.map(tableOf), MEMORY],
    }
  },
}

const targetsOf = (model: BenchModel, lengths: Lengths): Target[] =>
  CLIENTS.flatMap((many) =>
    (['p50', 'p99'] as const).map((part) => ({
      type: 'at-most',
      label: `${model.name}, ${lengths}, ${many} clients: ${part}`,
      job: nameOf('ours', model, lengths),
      figure: `${many} ${part}`,
    })),
  )
