import { truncate } from 'node:fs/promises'

import { wideBert } from '@x/fixtures'
import { createEngine } from '@x/infer-node'
import { createGraphPreparer, openModel, openStorage, type PreparedGraph } from '@x/node'
import { expect, it, onTestFinished } from 'vitest'

import { storeOf } from './hook-support.ts'

it('opens graphs for an engine as was asked; what ONNX Runtime refuses is opened as it is', async () => {
  const storage = await openStorage({ directory: await storeOf({ 'fix/wide': wideBert(512, 4) }), environment: {} })
  onTestFinished(() => storage.close())
  const model = await openModel(async () => storage, 'fix/wide')
  const seen: PreparedGraph[] = []
  const prepareWith =
    (spoil: (path: string) => Promise<void>) =>
    async (...[of, file]: Parameters<ReturnType<typeof createGraphPreparer>>): Promise<PreparedGraph> => {
      const prepared = await createGraphPreparer(storage, { memory: 'mmap', environment: {} })(of, file)
      seen.push(prepared)
      await spoil(prepared.path)
      return prepared
    }
  const run = async (prepare: ReturnType<typeof prepareWith> | undefined) => {
    const engine = createEngine({ prepare })
    onTestFinished(() => engine.close())
    const { output, receipt } = await engine.run('feature-extraction', model, 'hello world')
    return { output, numericClass: receipt.numericClass }
  }
  const plain = await run(undefined)
  expect(plain.numericClass).toMatch(/-prepacked$/)
  const mapped = await run(prepareWith(async () => {}))
  expect(seen[0]).toMatchObject({ mode: 'mmap', weights: 'unpacked', isMapped: true, why: 'as asked' })
  expect(mapped.numericClass).toMatch(/-unpacked-\d+/)
  // Damaged between its check and its use.
  const spoilt = await run(prepareWith((path) => truncate(path, 100)))
  expect(spoilt).toEqual(plain)
})
