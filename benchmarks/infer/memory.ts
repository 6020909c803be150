// What the process holds when each of its threads has the model and has answered.
import { createEngine } from '@x/infer-node'
import { createGraphPreparer, openModel, openStorage } from '@x/node'

import { runJob } from '../harness/job.ts'
import { memoryOf } from './callers.ts'
import { floatsOf } from './inputs.ts'

await runJob<{ store: string; workers: number; mode: 'original' | 'mmap' | 'packed' }>(
  async ({ store, workers, mode }) => {
    const storage = await openStorage({ directory: store, environment: {}, create: false })
    const model = await openModel(async () => storage, 'bench/wide')
    const idleMB = memoryOf().privateMB
    const prepare = createGraphPreparer(storage, { memory: mode, environment: {} })
    const engine = createEngine({ workers, prepare, memoryBytes: 8 * 2 ** 30 })
    const ask = async (): Promise<Float32Array> => {
      const asked = await engine.run('feature-extraction', model, 'hello world this is a test')
      return floatsOf(asked.output.data)
    }
    const answers = await Promise.all(Array.from({ length: 8 * workers }, ask))
    const having = engine.stats().workers.filter(({ models }) => models.length > 0)
    if (having.length !== workers) throw new Error(`${having.length} of ${workers} threads have the model`)
    const figures = { ...memoryOf(), idleMB }
    const first = answers[0]?.[0] ?? Number.NaN
    if (!answers.every(([value]) => value === first)) throw new Error('the threads give different answers')
    await engine.close()
    await storage.close()
    return { evidence: { answer: first.toFixed(2) }, figures }
  },
)
