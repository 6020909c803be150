import { availableParallelism } from 'node:os'
import { join } from 'node:path'

import { preparedPython } from '../harness/prepared-python.ts'
import type { FigureTable, Job, Question, Target } from '../harness/types.ts'
import { countOf, MODELS, nameOf, prepareModels, type BenchModel } from './models.ts'
import type { Lengths } from './texts.ts'

const CALLERS = [1, 8, 64] as const
/** Texts of a run of ONNX Runtime alone; the better one counts. 32 is what the engine takes at most. */
const ROWS = [8, 32] as const
const ALL_LENGTHS: readonly Lengths[] = ['16', '128', 'mixed']

/** Asked of 64 callers, on two cores. */
const AT_LEAST: Readonly<Record<Lengths, number>> = { '16': 1.7, '128': 1.05, mixed: 1.5 }

export const callers: Question = {
  name: 'infer/callers',
  title: 'embeddings for 1, 8 and 64 callers at once',
  rounds: 3,
  async prepare(workspace) {
    const prepared = await prepareModels(workspace)
    const python = preparedPython('onnxruntime')
    const threads = availableParallelism()
    const jobsOf = (model: BenchModel, lengths: Lengths): Job[] => {
      const count = countOf(workspace, lengths)
      const inputs = prepared.inputs(model, lengths)
      const phases = CALLERS.map((many) => ({ callers: many, count: many === 64 ? count : Math.ceil(count / 2) }))
      const script = (name: string, file: string, parameters: object, program?: string): Job =>
        workspace.script(
          nameOf(name, model, lengths),
          new URL(file, import.meta.url),
          { inputs, ...parameters },
          { scope: `${model.name}, ${lengths}: `, ...(program !== undefined && { program }) },
        )
      const { models, store } = prepared
      const alone = {
        graph: join(models, model.name, model.graph),
        threads,
        rows: ROWS,
        count: Math.ceil(count / 2),
      }
      return [
        script('plain', 'plain.ts', { models, model: model.name, normalize: model.normalize, phases }),
        script('ours', 'ours.ts', { store, model: model.name, phases }),
        script('raw', 'raw.ts', alone),
        ...(python === undefined ? [] : [script('Python', 'raw.py', alone, python)]),
      ]
    }
    const targetsOf = (model: BenchModel, lengths: Lengths): Target[] => {
      const ours = (many: number) => ({ job: nameOf('ours', model, lengths), figure: `${many} perText` })
      const alone = (name: string) =>
        ROWS.map((rows) => ({ job: nameOf(name, model, lengths), figure: `rows${rows} perText` }))
      const label = `${model.name}, ${lengths}`
      const noPython = { peers: [], absent: 'no Python: see above' }
      const fromPython = python === undefined ? noPython : { peers: alone('Python') }
      return [
        ...CALLERS.map((many): Target => ({
          type: 'faster',
          label: `${label}, ${many} callers: plain`,
          ours: ours(many),
          peers: [{ job: nameOf('plain', model, lengths), figure: `${many} perText` }],
          ...(many === 64 && { atLeast: AT_LEAST[lengths] }),
        })),
        {
          type: 'faster',
          label: `${label}, 64 callers: raw, the limit`,
          ours: ours(64),
          peers: alone('raw'),
          atLeast: 0.9,
        },
        { type: 'faster', label: `${label}, 64 callers: Python`, ours: ours(64), ...fromPython, atLeast: 0.95 },
        ...ROWS.map((rows): Target => ({
          type: 'faster',
          label: `${label}, raw in runs of ${rows}: Python`,
          ours: { job: nameOf('raw', model, lengths), figure: `rows${rows} perText` },
          ...(python === undefined
            ? noPython
            : { peers: [{ job: nameOf('Python', model, lengths), figure: `rows${rows} perText` }] }),
        })),
        {
          type: 'at-most',
          label: `${label}, 64 callers: event loop, p99`,
          job: nameOf('ours', model, lengths),
          figure: '64 loopP99',
          atMost: 0.02,
        },
      ]
    }
    const all = MODELS.flatMap((model) => ALL_LENGTHS.map((lengths) => [model, lengths] as const))
    return {
      expected: {},
      jobs: all.flatMap(([model, lengths]) => jobsOf(model, lengths)),
      targets: all.flatMap(([model, lengths]) => targetsOf(model, lengths)),
      tables: [...CALLERS.map(callersTable), ALONE],
    }
  },
}

const callersTable = (many: number): FigureTable => ({
  title: `${many} callers`,
  columns: [
    { label: 'texts a second', figure: `${many} perSecond`, unit: 'count' },
    { label: 'p50', figure: `${many} p50`, unit: 'seconds' },
    { label: 'p99', figure: `${many} p99`, unit: 'seconds' },
    { label: 'event loop p99', figure: `${many} loopP99`, unit: 'seconds' },
    { label: 'texts a run', figure: `${many} rowsPerRun`, unit: 'count' },
  ],
})

const ALONE: FigureTable = {
  title: 'all callers, and ONNX Runtime alone',
  columns: [
    ...ROWS.map((rows) => ({
      label: `a text, ${rows} a run`,
      figure: `rows${rows} perText`,
      unit: 'seconds' as const,
    })),
    { label: 'same bits', figure: 'sameBits', unit: 'ratio' },
    { label: 'private memory', figure: 'privateMB', unit: 'MB' },
  ],
}
