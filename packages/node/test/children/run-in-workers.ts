import { readFileSync } from 'node:fs'

import { createEngine } from '@x/infer-node'
import { createGraphPreparer, openModel, openStorage } from '@x/node'

// Runs a stored model in some workers at once, and says how much memory of its own the process has then.
const [directory, reference = '', workers = '1', memory] = process.argv.slice(2)
const storage = await openStorage({ directory, environment: {} })
const model = await openModel(async () => storage, reference)
const prepare = memory === 'mmap' ? createGraphPreparer(storage, { memory, environment: {} }) : undefined
const engine = createEngine({ workers: Number(workers), threads: 1, prepare })
for (let round = 0; round < 6; round++) {
  const texts = Array.from({ length: 8 * Number(workers) }, (_, index) => `hello world ${'a '.repeat(index % 8)}`)
  await Promise.all(texts.map((text) => engine.run('feature-extraction', model, text)))
}
const { loads } = engine.stats()
const [, kilobytes] = /^Private_Dirty:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8')) ?? []
process.stdout.write(`${JSON.stringify({ loads, privateBytes: Number(kilobytes) * 1024 })}\n`)
await engine.close()
await storage.close()
