// The same of a model in a store: in a thread, in this one, or of an answer that was kept by an earlier process. Times are from
// the start of the process.
import { createCache } from '@x/cache'
import { openDiskArea } from '@x/cache/disk'
import { createEngine, runTask, type TaskResult } from '@x/infer-node'
import { createGraphPreparer, openModel, openStorage } from '@x/node'

import { runJob } from '../harness/job.ts'
import { memoryOf } from './callers.ts'
import { createProof, floatsOf, readInputs } from './inputs.ts'

const imported = performance.now() / 1000

interface Asked {
  inputs: string
  store: string
  model: string
  by: 'engine' | 'runner' | 'kept'
  /** Folder of what is kept. */
  kept: string
}

await runJob<Asked>(async (asked) => {
  const inputs = readInputs(asked.inputs)
  const storage = await openStorage({ directory: asked.store, environment: {}, create: false })
  const model = await openModel(async () => storage, `bench/${asked.model}`, { verify: 'stored' })
  const opened = performance.now() / 1000
  const text = inputs.texts[0] ?? ''

  async function answer(): Promise<[TaskResult<'feature-extraction'>, close: () => Promise<void>]> {
    if (asked.by === 'runner') {
      const [result] = await runTask('feature-extraction', model, [text])
      if (result === undefined) throw new Error('there is no answer')
      return [result, async () => undefined]
    }
    const prepare = createGraphPreparer(storage, { environment: {} })
    const cache = asked.by === 'kept' ? createCache({ disk: await openDiskArea({ directory: asked.kept }) }) : undefined
    const engine = createEngine({ prepare, cache })
    const result = await engine.run('feature-extraction', model, text)
    return [
      result,
      async () => {
        await engine.close()
        await cache?.close()
      },
    ]
  }

  const [result, close] = await answer()
  const seconds = performance.now() / 1000
  const { privateMB } = memoryOf()
  const wasKept = result.from === 'disk'
  // The first run of all, which is not counted, keeps it.
  if (wasKept !== (asked.by === 'kept') && !asked.check) throw new Error(`the answer is ${result.from}`)
  const proof = createProof(inputs, 'answer', 'be-close')
  proof.take(0, floatsOf(result.output.data))
  await close()
  await storage.close()
  return { seconds, evidence: proof.evidence(), figures: { imported, opened, privateMB, ...proof.figures() } }
})
