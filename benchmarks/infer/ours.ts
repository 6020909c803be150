// The engine: threads, batches, a receipt for each answer.
import { createEngine } from '@x/infer-node'
import { createGraphPreparer, openModel, openStorage } from '@x/node'

import { runJob } from '../harness/job.ts'
import { measureCallers } from './callers.ts'
import { LENGTHS, textsOf } from './texts.ts'

interface Asked {
  store: string
  lengths: string
  callers: number
  count: number
  workers: number
  memory: 'original' | 'mmap' | 'packed'
}

await runJob<Asked>(async (asked) => {
  const storage = await openStorage({ directory: asked.store, environment: {}, create: false })
  const model = await openModel(async () => storage, 'bench/minilm')
  const prepare = createGraphPreparer(storage, { memory: asked.memory, environment: {} })
  const engine = createEngine({ workers: asked.workers, prepare })
  const texts = textsOf(LENGTHS[asked.lengths] ?? [], asked.count)
  const ask = async (text: string): Promise<Float32Array> => {
    const { output } = await engine.run('feature-extraction', model, text)
    if (output.data instanceof Float32Array) return output.data
    throw new TypeError('no float32')
  }
  // Each worker has the model.
  await Promise.all(Array.from({ length: 2 * asked.workers }, (_, index) => ask(texts[index] ?? '')))
  const result = await measureCallers(texts, asked.callers, ask)
  const { runs, rows } = engine.stats()
  await engine.close()
  await storage.close()
  return { ...result, figures: { ...result.figures, rowsPerRun: rows / runs } }
})
