import { readFileSync } from 'node:fs'

import { openFsStore } from '@x/backend-fs'
import { isTensor } from '@x/infer-core'
import { createEngine, type Providers } from '@x/infer-node'
import { openModel } from '@x/model-loader'

// Runs a stored model on the providers that are named, and says what that was and which native libraries the process has loaded.
const [directory = '', reference = '', named = '', task] = process.argv.slice(2)
const providers: Providers = JSON.parse(named)
const store = await openFsStore({ directory })
const warnings: string[] = []
const engine = createEngine({ providers, onWarning: (message) => warnings.push(message) })
const model = await openModel(store, reference)
const texts = ['hello world', 'a', 'this is a test']
const name = task === 'text-classification' ? task : 'feature-extraction'
const results = await Promise.all(texts.map((text) => engine.run(name, model, text)))
const isNative = readFileSync('/proc/self/maps', 'utf8').includes('libonnxruntime')
const receipts = results.map(({ receipt: { runtime, executionProvider, numericClass } }) => ({
  runtime,
  executionProvider,
  numericClass,
}))
const values = results.map(({ output }) => (isTensor(output) ? [...output.data] : output))
process.stdout.write(`${JSON.stringify({ receipts, values, warnings, isNative, stats: engine.stats() })}\n`)
await engine.close()
await store.close()
