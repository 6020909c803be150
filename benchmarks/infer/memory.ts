// What the process holds when each of its threads has the model and has answered as transformers.js does.
import { createEngine } from '@x/infer-node'
import { createGraphPreparer, openModel, openStorage } from '@x/node'

import { runJob } from '../harness/job.ts'
import { memoryOf } from './callers.ts'
import { createProof, floatsOf, readInputs } from './inputs.ts'

await runJob<{ store: string; inputs: string; workers: number; mode: 'original' | 'mmap' | 'packed' }>(
  async ({ store, inputs, workers, mode }) => {
    const given = readInputs(inputs)
    const [text = ''] = given.texts
    // How the weights are held decides the last bits.
    const proof = createProof(given, 'answer', 'be-close')
    const storage = await openStorage({ directory: store, environment: {}, create: false })
    const model = await openModel(async () => storage, 'bench/wide')
    const idleMB = memoryOf().privateMB
    const prepare = createGraphPreparer(storage, { memory: mode, environment: {} })
    const engine = createEngine({ workers, prepare, memoryBytes: 8 * 2 ** 30 })
    const ask = async (): Promise<Float32Array> => {
      const asked = await engine.run('feature-extraction', model, text)
      return floatsOf(asked.output.data)
    }
    const answers = await Promise.all(Array.from({ length: 8 * workers }, ask))
    const memory = memoryOf()
    const having = engine.stats().workers.filter(({ models }) => models.length > 0)
    if (having.length !== workers) throw new Error(`${having.length} of ${workers} threads have the model`)
    for (const answer of answers) proof.take(0, answer)
    const [first] = answers
    if (!answers.every((answer) => answer.every((value, at) => Object.is(value, first?.[at]))))
      throw new Error('the threads give different answers')
    await engine.close()
    await storage.close()
    return { evidence: proof.evidence(), figures: { ...memory, idleMB, ...proof.figures() } }
  },
)
