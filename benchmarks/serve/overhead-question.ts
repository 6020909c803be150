import type { Job, Question, Target } from '../harness/types.ts'
import { MODELS, nameOf, prepareModels, type BenchModel } from '../infer/models.ts'
import type { Lengths } from '../infer/texts.ts'
import { ALL_LENGTHS, CLIENTS, MEMORY, phasesOf, tableOf } from './parts.ts'

/** Of ONNX Runtime: what asks has the other core. */
const THREADS = 1
/** Time of a text through HTTP, of its time without. */
const AT_MOST = 1.1

const KEEPING = 'ours, kept'
const CONTENDERS = [
  { name: 'library', file: 'library.ts', keeps: false },
  { name: 'ours', file: 'ours.ts', keeps: false },
  { name: KEEPING, file: 'keeping.ts', keeps: true },
] as const

export const overhead: Question = {
  name: 'serve/overhead',
  title: 'a text through HTTP, and by the engine alone',
  rounds: 3,
  async prepare(workspace) {
    const { store, inputs } = await prepareModels(workspace)
    const jobsOf = (model: BenchModel, lengths: Lengths): Job[] =>
      CONTENDERS.map(({ name, file, keeps }) =>
        workspace.script(
          nameOf(name, model, lengths),
          new URL(file, import.meta.url),
          {
            inputs: inputs(model, lengths),
            store,
            model: model.name,
            threads: THREADS,
            phases: phasesOf(workspace, lengths),
          },
          { scope: `${model.name}, ${lengths}: `, ...(keeps && { output: workspace.path('serve-results') }) },
        ),
      )
    const all = MODELS.flatMap((model) => ALL_LENGTHS.map((lengths) => [model, lengths] as const))
    return {
      expected: {},
      jobs: all.flatMap(([model, lengths]) => jobsOf(model, lengths)),
      targets: all.flatMap(([model, lengths]) => targetsOf(model, lengths)),
      tables: [...CLIENTS.map(tableOf), MEMORY],
    }
  },
}

const targetsOf = (model: BenchModel, lengths: Lengths): Target[] =>
  CLIENTS.flatMap((many): Target[] => {
    const against = (small: string, large: string): Target & { type: 'flat' } => ({
      type: 'flat',
      label: `${model.name}, ${lengths}, ${many} clients: ${large} ÷ ${small}`,
      small: nameOf(small, model, lengths),
      large: nameOf(large, model, lengths),
      figure: `${many} perText`,
    })
    return [{ ...against('library', 'ours'), atMost: AT_MOST }, against('ours', KEEPING)]
  })
