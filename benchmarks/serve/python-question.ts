import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { preparedPython } from '../harness/prepared-python.ts'
import type { FigureOf, Job, Question, Target } from '../harness/types.ts'
import { MODELS, nameOf, prepareModels, type BenchModel, type Prepared } from '../infer/models.ts'
import type { Lengths } from '../infer/texts.ts'
import { ALL_LENGTHS, CLIENTS, MEMORY, phasesOf, tableOf } from './parts.ts'

/** Texts of a run at most, of Python with batches; the better one counts. 32 is what the engine takes at most. */
const ROWS = [8, 32] as const
const BATCHED = ROWS.map((rows) => `Python, ${rows} a run`)
const NAIVE = 'Python, naive'
/** As `serve --workers` with one for each core. */
const WORKERS = 'ours, workers'

export const python: Question = {
  name: 'serve/python',
  title: 'embeddings over HTTP, ours and a server in Python',
  rounds: 3,
  async prepare(workspace) {
    const prepared = await prepareModels(workspace)
    const interpreter = preparedPython('onnxruntime-server')
    const all = MODELS.flatMap((model) => ALL_LENGTHS.map((lengths) => [model, lengths] as const))
    return {
      expected: {},
      jobs: all.flatMap(([model, lengths]): Job[] => {
        const phases = phasesOf(workspace, lengths)
        const script = (name: string, file: string, parameters: object): Job =>
          workspace.script(
            nameOf(name, model, lengths),
            new URL(file, import.meta.url),
            { inputs: prepared.inputs(model, lengths), phases, ...parameters },
            { scope: `${model.name}, ${lengths}: ` },
          )
        const ours = script('ours', 'ours.ts', { store: prepared.store, model: model.name })
        const workers = availableParallelism()
        const perCore = script(WORKERS, 'ours.ts', { store: prepared.store, model: model.name, workers })
        if (interpreter === undefined) return [ours, perCore]
        const inPython = (name: string, rows: number): Job =>
          script(name, 'python.ts', { ...pythonServer(interpreter, prepared, model), rows })
        return [ours, perCore, ...ROWS.map((rows, at) => inPython(BATCHED[at] ?? '', rows)), inPython(NAIVE, 0)]
      }),
      targets: all.flatMap(([model, lengths]) => targetsOf(model, lengths, interpreter !== undefined)),
      tables: [...CLIENTS.map(tableOf), MEMORY],
    }
  },
}

const pythonServer = (interpreter: string, { models }: Prepared, model: BenchModel): object => ({
  python: interpreter,
  script: fileURLToPath(new URL('server.py', import.meta.url)),
  graph: join(models, model.name, model.graph),
  tokenizer: join(models, model.name, 'tokenizer.json'),
  normalize: model.normalize,
  threads: availableParallelism(),
})

function targetsOf(model: BenchModel, lengths: Lengths, hasPython: boolean): Target[] {
  const absent = { peers: [], absent: 'no Python: see above' }
  return CLIENTS.flatMap((many): Target[] => {
    const of = (name: string): FigureOf => ({ job: nameOf(name, model, lengths), figure: `${many} perText` })
    const label = `${model.name}, ${lengths}, ${many} clients`
    const against = (names: readonly string[]): Pick<Target & { type: 'faster' }, 'peers' | 'absent'> =>
      hasPython ? { peers: names.map(of) } : absent
    return [
      { type: 'faster', label: `${label}: in batches`, ours: of('ours'), ...against(BATCHED), atLeast: 1 },
      { type: 'faster', label: `${label}: workers, in batches`, ours: of(WORKERS), ...against(BATCHED), atLeast: 1 },
      { type: 'faster', label: `${label}: naive`, ours: of('ours'), ...against([NAIVE]) },
    ]
  })
}
