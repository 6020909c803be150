import { existsSync } from 'node:fs'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { encoder, MINILM_SHAPE } from '../../tooling/fixtures/src/index.ts'
import type { Workspace } from '../harness/types.ts'
import { LENGTHS, textsOf, type Lengths } from './texts.ts'

export interface BenchModel {
  name: 'minilm' | 'embedded'
  /** Of its folder. */
  graph: string
  /** What its own settings say. */
  normalize: boolean
}

export const MODELS: readonly BenchModel[] = [
  { name: 'minilm', graph: 'onnx/model.onnx', normalize: false },
  { name: 'embedded', graph: 'onnx/model_quantized.onnx', normalize: true },
]

/** Texts of 16 tokens that 64 callers ask for, unless `--entries` says otherwise. */
const TEXTS = 1024
/** Of the others, so that they take about as long. */
const PARTS: Readonly<Record<Lengths, number>> = { '16': 1, '128': 3 / 16, mixed: 15 / 32 }

export const countOf = ({ entries = TEXTS }: Pick<Workspace, 'entries'>, lengths: Lengths): number =>
  Math.max(16, Math.ceil(entries * PARTS[lengths]))

/** Of a job: who is asked, of which model, with texts of which lengths. */
export const nameOf = (name: string, model: BenchModel, lengths: Lengths): string =>
  `${name}, ${model.name}, ${lengths}`

export interface Prepared {
  /** Folder of both models, as transformers.js finds them. */
  models: string
  /** A store that has them, as `bench/<name>`. */
  store: string
  inputs: (model: BenchModel, lengths: Lengths) => string
}

/** The models, a store with them, and what to ask; made once for all parts. */
export async function prepareModels(workspace: Workspace): Promise<Prepared> {
  const models = workspace.path('infer-models')
  const store = workspace.path('infer-store')
  const inputsOf = ({ name }: BenchModel, lengths: Lengths): string =>
    workspace.path(`infer-inputs-${name}-${lengths}.json`)
  const prepared = { models, store, inputs: inputsOf }
  if (existsSync(models)) return prepared
  for (const [path, bytes] of Object.entries(encoder(MINILM_SHAPE))) {
    const file = join(models, 'minilm', path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, bytes)
  }
  const embedded = fileURLToPath(new URL('../../packages/embedded-model/model', import.meta.url))
  await cp(embedded, join(models, 'embedded'), { recursive: true })
  const add = new URL('../open-model/add.ts', import.meta.url)
  const asked = { models: Object.fromEntries(MODELS.map(({ name }) => [`bench/${name}`, join(models, name)])) }
  await workspace.once(workspace.script('add', add, asked, { output: store }))
  const script = new URL('reference.ts', import.meta.url)
  for (const model of MODELS) {
    for (const lengths of ['16', '128', 'mixed'] as const) {
      // Too long for an argument of a process.
      const texts = workspace.path(`infer-texts-${lengths}.json`)
      await writeFile(texts, JSON.stringify(textsOf(LENGTHS[lengths], countOf(workspace, lengths))))
      const parameters = { models, model: model.name, normalize: model.normalize, texts, lengths: LENGTHS[lengths] }
      const output = inputsOf(model, lengths)
      await workspace.once(workspace.script(`reference of ${model.name}, ${lengths}`, script, parameters, { output }))
    }
  }
  return prepared
}
