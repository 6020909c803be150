import { openFsStore } from '@x/backend-fs'
import { createEngine, createRunner } from '@x/infer-node'
import { openModel } from '@x/model-loader'

// Runs a stored GGUF by a runner and in an engine, and says what came of it.
const [directory = '', reference = ''] = process.argv.slice(2)
const store = await openFsStore({ directory })
const model = await openModel(store, reference)
const runner = createRunner()
const engine = createEngine()
const attempts = await Promise.allSettled([
  runner.run('text-generation', model, ['goats']).next(),
  engine.run('text-generation', model, 'goats'),
])
const told = attempts.map((one) =>
  one.status === 'rejected' ? { code: one.reason.code, message: one.reason.message } : { code: 'RAN' },
)
process.stdout.write(`${JSON.stringify(told)}\n`)
await engine.close()
await runner.close()
await store.close()
