import type { FigureTable, Question, Target } from '../harness/types.ts'
import { countOf, MODELS, prepareModels } from './models.ts'

const PLACES = ['memory', 'disk'] as const
const STATES = ['loaded', 'not loaded'] as const

export const cached: Question = {
  name: 'infer/cached',
  title: 'an embedding that was kept, with its receipt',
  rounds: 3,
  async prepare(workspace) {
    const { store, inputs } = await prepareModels(workspace)
    const count = Math.ceil(countOf(workspace, '16') / 2)
    const jobs = MODELS.map((model) =>
      workspace.script(
        model.name,
        new URL('cached.ts', import.meta.url),
        { inputs: inputs(model, '16'), store, model: model.name, count },
        { output: workspace.path(`infer-kept-${model.name}`), scope: `${model.name}: ` },
      ),
    )
    const targets = MODELS.flatMap(({ name }) =>
      PLACES.flatMap((place) =>
        STATES.map((state): Target => ({
          type: 'at-most',
          label: `${name}, from ${place}, model ${state}: p50`,
          job: name,
          figure: `${place} ${state} p50`,
          atMost: 0.001,
        })),
      ),
    )
    return { expected: {}, jobs, targets, tables: [TABLE] }
  },
}

const TABLE: FigureTable = {
  title: 'model',
  columns: PLACES.flatMap((place) =>
    STATES.flatMap((state) =>
      (['p50', 'p99'] as const).map((share) => ({
        label: `${place}, ${state}: ${share}`,
        figure: `${place} ${state} ${share}`,
        unit: 'seconds' as const,
      })),
    ),
  ),
}
